#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/reference_time.hpp"
#include "nibble/chat.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

std::string repeated(std::string_view text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

/// The kind of error that a template ends in.
ErrorKind kind_of(const std::string& source, const std::string& context = "{}", ChatRenderOptions options = {}) {
  try {
    const std::string text = ChatTemplate(source).render(context, options);
    ADD_FAILURE() << "no error, but " << text.size() << " bytes: " << text.substr(0, 100);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::cancelled;
}

constexpr size_t many = 100'000;

class DeepSource : public testing::TestWithParam<std::pair<std::string, std::string>> {};

/// Nesting that would exhaust the stack of a parser without bounds.
TEST_P(DeepSource, IsRefused) {
  const auto& [open, close] = GetParam();
  EXPECT_EQ(kind_of(repeated(open, many / open.size()) + "1" + repeated(close, many / open.size())), ErrorKind::corrupt);
  EXPECT_EQ(kind_of("{{ " + repeated(open, many) + " 1 " + repeated(close, many) + " }}"), ErrorKind::corrupt);
}

INSTANTIATE_TEST_SUITE_P(Nesting, DeepSource,
                         testing::Values(std::pair{"{{(", ")}}"}, std::pair{"{% if 1 %}", "{% endif %}"},
                                         std::pair{"{% for x in [1] %}", "{% endfor %}"}, std::pair{"{% macro m() %}", "{% endmacro %}"},
                                         std::pair{"{% set x %}", "{% endset %}"}));

class DeepExpression : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(DeepExpression, IsRefused) {
  const auto& [open, close] = GetParam();
  EXPECT_EQ(kind_of("{{ " + repeated(open, many) + " 1 " + repeated(close, many) + " }}"), ErrorKind::corrupt);
}

INSTANTIATE_TEST_SUITE_P(Nesting, DeepExpression,
                         testing::Values(std::pair{"(", ")"}, std::pair{"[", "]"}, std::pair{"{1:", "}"}, std::pair{"not ", ""},
                                         std::pair{"- ", ""}, std::pair{"1 + ", ""}, std::pair{"1 ** ", ""}, std::pair{"1 or ", ""},
                                         std::pair{"1 if ", ""}, std::pair{"x[", "]"}, std::pair{"x(", ")"}, std::pair{"", ".a"},
                                         std::pair{"", "|string"}, std::pair{"", " is string"}, std::pair{"", "()"}));

TEST(Limits, AllowWhatTemplatesNest) {
  EXPECT_EQ(ChatTemplate("{{ " + repeated("(", 70) + "1" + repeated(")", 70) + " }}").render("{}"), "1");
  EXPECT_EQ(ChatTemplate(repeated("{% if 1 %}", 95) + "1" + repeated("{% endif %}", 95)).render("{}"), "1");
  EXPECT_EQ(ChatTemplate("{{ " + repeated("1 + ", 250) + "1 }}").render("{}"), "251");
  EXPECT_EQ(ChatTemplate("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}x{% endmacro %}{{ m(180) | length }}").render("{}"), "181");
}

TEST(Limits, RecursionWithoutEndIsAnError) {
  EXPECT_EQ(kind_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of("{% block a %}{{ self.a() }}{% endblock %}"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of("{% macro m() %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}"), ErrorKind::invalid_argument);
}

/// A list that holds itself some levels down, and what walks it.
const std::string doubled = "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";

class Costly : public testing::TestWithParam<std::string> {};

/// Each would take very much time or memory.
TEST_P(Costly, IsStopped) { EXPECT_EQ(kind_of(GetParam()), ErrorKind::exhausted); }

INSTANTIATE_TEST_SUITE_P(
    Templates, Costly,
    testing::Values(
        "{{ 'a' * 1000000000 }}", "{{ ([1] * 1000000000) | length }}", "{{ 'abc' | center(1000000000) }}", "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}", "{{ '{:1000000000}'.format(1) }}", "{{ 'a'.ljust(1000000000) }}", "{{ '1'.zfill(1000000000) }}",
        "{{ 'a\tb'.expandtabs(1000000000) }}", "{{ [1] | tojson(indent=1000000000) }}", "{{ 'a' | indent(1000000000) }}",
        "{{ [1] | batch(1000000000, 0) | list }}", "{{ [1] | slice(1000000000) | list }}", "{{ (1).to_bytes(1000000000, 'big') }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(40) %}{% set ns.x = ns.x | replace('a', 'ab' * 9999) %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] | join %}{% endfor %}", doubled + "{{ ns.x }}",
        doubled + "{{ ns.x | tojson }}", doubled + "{{ ns.x | pprint }}",
        "{% set s = 'x' * 60000000 %}{% for i in range(99) %}{{ s }}{% endfor %}",
        "{% set s = 'x' * 60000000 %}{% set ns = namespace(l=[]) %}{% for i in range(99) %}{% set ns.l = ns.l + [s ~ i] %}{% endfor %}"));

TEST(Limits, EndlessLoopsAreStopped) {
  ChatRenderOptions options;
  options.max_steps = 1'000'000;
  const std::string loops = repeated("{% for i in range(99999) %}", 5) + "x" + repeated("{% endfor %}", 5);
  EXPECT_EQ(kind_of(loops, "{}", options), ErrorKind::exhausted);
  EXPECT_EQ(kind_of(doubled + "{% set first = ns.x %}" + doubled + "{{ first == ns.x }}", "{}", options), ErrorKind::exhausted);
  EXPECT_EQ(kind_of("{% for i in range(99999) %}{{ (2 ** 9999) // 7 }}{% endfor %}", "{}", options), ErrorKind::exhausted);
  EXPECT_EQ(kind_of("{% set s = 'ab' * 9999999 %}{% for i in range(99999) %}{{ s.count('c') }}{% endfor %}", "{}", options),
            ErrorKind::exhausted);
}

TEST(Limits, OutputIsBounded) {
  ChatRenderOptions options;
  options.max_output_bytes = 1000;
  EXPECT_EQ(ChatTemplate("{{ 'a' * 1000 }}").render("{}", options).size(), 1000u);
  EXPECT_EQ(kind_of("{{ 'a' * 999 }}bc", "{}", options), ErrorKind::exhausted);
}

TEST(Limits, IntegersAreBounded) {
  EXPECT_EQ(kind_of("{{ 2 ** 100000 }}"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of("{{ 2 ** 10000000000000000000000 }}"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of("{{ " + repeated("9", 5000) + " }}"), ErrorKind::corrupt);
  EXPECT_EQ(kind_of("{{ x }}", "{\"x\": " + repeated("9", 5000) + "}"), ErrorKind::invalid_argument);
  EXPECT_EQ(ChatTemplate("{{ 2 ** 10000 % 1000007 }}").render("{}"), "770575");
}

TEST(Limits, ValuesNestedTooDeeplyAreAnError) {
  EXPECT_EQ(kind_of("{% set ns = namespace(x=1) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}"),
            ErrorKind::invalid_argument);
  EXPECT_EQ(
      kind_of(
          "{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = ns.x | map('string') %}{% endfor %}{{ ns.x | list }}"),
      ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of("{{ x }}", "{\"x\": " + repeated("[", many) + repeated("]", many) + "}"), ErrorKind::invalid_argument);
}

TEST(Limits, NamespacesMayHoldThemselves) {
  EXPECT_EQ(ChatTemplate("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x | length }}").render("{}"), "1");
  EXPECT_EQ(kind_of("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"), ErrorKind::invalid_argument);
  EXPECT_EQ(ChatTemplate("{% set h = namespace() %}{% set h.t = namespace() %}{% for i in range(50000) %}{% set c = h.t %}"
                         "{% set n = namespace() %}{% set c.next = n %}{% set h.t = n %}{% endfor %}ok")
                .render("{}"),
            "ok");
}

TEST(Limits, TemplatesOfAMegabyteAreRefused) { EXPECT_EQ(kind_of(std::string((1 << 20) + 1, 'x')), ErrorKind::corrupt); }

TEST(Limits, AnswersNameTheLine) {
  try {
    ChatTemplate("a\nb\n{{ messages.x.y }}", "the-template").render("{\"messages\": []}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the-template:3: UndefinedError: 'list object' has no attribute 'x'");
  }
  try {
    ChatTemplate("a\n{% if %}", "the-template");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the-template:2: Expected an expression, got 'end of statement block'");
  }
}

}  // namespace
}  // namespace nibble
