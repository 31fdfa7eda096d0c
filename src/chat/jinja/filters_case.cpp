#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

template <std::string (*mapping)(std::string_view)>
Value mapped(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "filter", {"s"}, 1);
  const Value text = to_string(run, a[0]);
  run.step(text.text().size());
  return run.string(mapping(text.text()), text.is_markup());
}

bool starts_word(char32_t c) { return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c); }

/// Unlike str.title: a word ends at white space, a hyphen or an opening bracket only.
Value title_words(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "title", {"s"}, 1);
  const Value text = to_string(run, a[0]);
  const std::string_view source = text.text();
  run.step(source.size());
  std::string result;
  for (size_t i = 0; i < source.size();) {
    size_t next = i;
    const bool separator = starts_word(next_code_point(source, next));
    result += separator ? source.substr(i, next - i) : upper(source.substr(i, next - i));
    i = next;
    size_t end = i;
    while (!separator && next < source.size() && !starts_word(next_code_point(source, next))) end = next;
    result += lower(source.substr(i, end - i));
    i = end;
  }
  return run.string(std::move(result));
}

constexpr std::array filters = {
    Filter{"upper", mapped<upper>},
    Filter{"lower", mapped<lower>},
    Filter{"capitalize", mapped<capitalize>},
    Filter{"title", title_words},
};

}  // namespace

std::span<const Filter> case_filters() { return filters; }

}  // namespace nibble::jinja
