#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "base/mapped_file.hpp"
#include "chat/reference_time.hpp"
#include "nibble/chat.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Sample {
  std::string source, context;
};

std::vector<Sample> samples() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/chat/templates"))
    if (entry.path().extension() == ".jinja") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Sample> result;
  for (fs::path file : files) {
    const std::string source = read_file(file);
    const ordered_json reference = ordered_json::parse(read_file(file.replace_extension(".json")));
    for (const auto& expected : reference["cases"]) result.push_back({source, expected["context"].dump()});
  }
  return result;
}

using Random = std::mt19937;

size_t below(Random& random, size_t limit) { return limit == 0 ? 0 : random() % limit; }

std::string mutated(std::string text, Random& random, const std::vector<std::string>& pieces) {
  for (size_t changes = 1 + below(random, 4); changes > 0; --changes) {
    const size_t at = below(random, text.size() + 1);
    switch (below(random, 5)) {
      case 0: text.insert(at, pieces[below(random, pieces.size())]); break;
      case 1: text.erase(at, 1 + below(random, 8)); break;
      case 2: text.insert(at, text.substr(below(random, text.size() + 1), below(random, 40))); break;
      case 3: text.replace(at, std::min<size_t>(1, text.size() - at), 1, static_cast<char>(random())); break;
      default: text.insert(at, text.substr(at, below(random, 200))); break;
    }
  }
  return text;
}

ChatRenderOptions small_limits() {
  ChatRenderOptions options;
  options.now = reference_time();
  options.max_steps = 200'000;
  options.max_output_bytes = 1 << 20;
  options.max_memory_bytes = 32 << 20;
  return options;
}

/// Whatever a template and its variables are, rendering ends in a text or an Error.
void render_safely(const std::string& source, const std::string& context, size_t& rendered) {
  try {
    ChatTemplate(source).render(context, small_limits());
    ++rendered;
  } catch (const Error&) {}
}

TEST(Mutations, OfTemplatesEndInTextOrError) {
  const std::vector<std::string> pieces = {"{%",
                                           "%}",
                                           "{{",
                                           "}}",
                                           "{#",
                                           "-",
                                           "|",
                                           "(",
                                           ")",
                                           "[",
                                           "]",
                                           "'",
                                           "\"",
                                           "\\",
                                           " is ",
                                           " not ",
                                           "loop.",
                                           "9999999999",
                                           "** 99",
                                           " * 999999",
                                           "| list ",
                                           "| tojson",
                                           "recursive ",
                                           "| map(",
                                           "namespace(",
                                           "~",
                                           "\xF0\x9F",
                                           "{% endfor %}",
                                           "{% endif %}",
                                           "{% raw %}",
                                           "{% macro m(x) %}",
                                           "messages",
                                           "none",
                                           "1e999",
                                           "{% break %}"};
  const std::vector<Sample> all = samples();
  Random random(20260305);
  size_t rendered = 0;
  for (int i = 0; i < 6000; ++i) {
    const Sample& sample = all[below(random, all.size())];
    render_safely(mutated(sample.source, random, pieces), sample.context, rendered);
  }
  EXPECT_GT(rendered, 100u);
}

ordered_json& somewhere(ordered_json& value, Random& random) {
  if (!value.is_structured() || value.empty() || below(random, 4) == 0) return value;
  auto child = value.begin();
  std::advance(child, static_cast<std::ptrdiff_t>(below(random, value.size())));
  return somewhere(*child, random);
}

TEST(Mutations, OfContextsEndInTextOrError) {
  const std::vector<ordered_json> values = {nullptr,
                                            true,
                                            -1,
                                            1.5,
                                            "",
                                            "text",
                                            "{{ x }}",
                                            ordered_json::array(),
                                            ordered_json::object(),
                                            {1, "a", nullptr},
                                            {{"role", "user"}},
                                            {{"a", {{"b", {1, 2}}}}},
                                            18446744073709551615u};
  const std::vector<Sample> all = samples();
  Random random(20260306);
  size_t rendered = 0;
  for (int i = 0; i < 4000; ++i) {
    const Sample& sample = all[below(random, all.size())];
    ordered_json context = ordered_json::parse(sample.context);
    for (size_t changes = 1 + below(random, 3); changes > 0; --changes) somewhere(context, random) = values[below(random, values.size())];
    render_safely(sample.source, context.dump(), rendered);
  }
  EXPECT_GT(rendered, 1000u);
}

TEST(Mutations, OfJsonEndInTextOrError) {
  const std::vector<std::string> pieces = {"{",   "}",       "[",     "]", ",",   ":",    "\"",
                                           "\\u", "\\ud800", "1e999", "-", "nul", "\xFF", "99999999999999999999"};
  const std::vector<Sample> all = samples();
  Random random(20260307);
  size_t rendered = 0;
  for (int i = 0; i < 2000; ++i) {
    const Sample& sample = all[below(random, all.size())];
    render_safely("{{ messages | tojson }}", mutated(sample.context, random, pieces), rendered);
  }
  EXPECT_GT(rendered, 10u);
}

}  // namespace
}  // namespace nibble
