#include <algorithm>
#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/format.hpp"
#include "chat/jinja/markup.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/string_operations.hpp"
#include "chat/jinja/unicode.hpp"
#include "chat/jinja/wrap.hpp"

namespace nibble::jinja {

namespace {

/// Calls the str method of the name.
Value call_method(Run& run, const Value& text, std::string_view name, std::vector<Value> positional) {
  Arguments arguments{std::move(positional), {}};
  return method(run, text, name)->object()->call(run, arguments);
}

Value center(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "center", {"value", "width"}, 1);
  return call_method(run, to_string(run, a[0]), "center", {a.get(1, int64_t{80})});
}

Value trim(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "trim", {"value", "chars"}, 1);
  return call_method(run, to_string(run, a[0]), "strip", {a.get(1, None{})});
}

Value replace(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "replace", {"s", "old", "new", "count"}, 3);
  const Value text = to_string(run, a[0]), from = to_string(run, a[1]), to = to_string(run, a[2]);
  const int64_t count = a.has(3) && !a[3].is_none() ? to_index(a[3]) : -1;
  return replace_text(run, text.text(), from.text(), to.text(), count, false);
}

Value indent(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "indent", {"s", "width", "first", "blank"}, 1);
  if (a[0].is_undefined()) use_undefined(a[0]);
  if (a[0].is_list()) refuse(Fault::attribute_error, "'list' object has no attribute 'splitlines'");
  if (!a[0].is_string()) refuse(Fault::type_error, "unsupported operand type(s) for +=: '{}' and 'str'", type_name(a[0]));
  TextBuilder indention(run);
  if (a.has(1) && a[1].is_string()) {
    indention += a[1].text();
  } else {
    indention.repeat(" ", static_cast<uint64_t>(std::max<int64_t>(a.has(1) ? to_index(a[1]) : 4, 0)));
  }
  const bool first = a.has(2) && truth(run, a[2]), blank = a.has(3) && truth(run, a[3]);
  const std::string source = a[0].text() + "\n";
  TextBuilder text(run);
  bool at_start = true;
  for (std::string_view line : split_lines(source)) {
    if (!at_start) text += '\n';
    if (at_start ? first : blank || !line.empty()) text += indention.text();
    text += line;
    at_start = false;
  }
  return text.value(a[0].is_markup());
}

/// Up to the last space, without it; everything when there is none.
std::string_view before_last_space(std::string_view text) { return text.substr(0, std::min(text.rfind(' '), text.size())); }

Value truncate_text(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "truncate", {"s", "length", "killwords", "end", "leeway"}, 1);
  const int64_t wanted = a.has(1) ? to_index(a[1]) : 255, leeway = a.has(4) && !a[4].is_none() ? to_index(a[4]) : 5;
  const std::string end = a.has(3) ? text_argument(a[3], "truncate") : "...";
  const auto end_size = static_cast<int64_t>(count_code_points(end));
  if (wanted < end_size) refuse(Fault::value_error, "expected length >= {}, got {}", end_size, wanted);
  if (leeway < 0) refuse(Fault::value_error, "expected leeway >= 0, got {}", leeway);
  if (static_cast<int64_t>(length(run, a[0])) - leeway <= wanted) return a[0];
  const Value kept = slice(run, a[0], None{}, wanted - end_size, None{});
  if (a.has(2) && truth(run, a[2])) return binary(run, "+", kept, run.string(end));
  if (!kept.is_string()) refuse(Fault::attribute_error, "'{}' object has no attribute 'rsplit'", type_name(kept));
  return binary(run, "+", run.string(std::string(before_last_space(kept.text())), kept.is_markup()), run.string(end));
}

Value word_count(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "wordcount", {"s"}, 1);
  const Value text = to_string(run, a[0]);
  run.step(text.text().size() / 4);
  int64_t words = 0;
  bool inside = false;
  for (size_t i = 0; i < text.text().size();) {
    const bool word = is_word(next_code_point(text.text(), i));
    words += word && !inside;
    inside = word;
  }
  return words;
}

Value word_wrap(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "wordwrap", {"s", "width", "break_long_words", "wrapstring", "break_on_hyphens"}, 1);
  if (a[0].is_undefined()) use_undefined(a[0]);
  if (!a[0].is_string()) refuse(Fault::attribute_error, "'{}' object has no attribute 'splitlines'", type_name(a[0]));
  WrapStyle style;
  style.width = a.has(1) ? to_index(a[1]) : 79;
  if (style.width <= 0) refuse(Fault::value_error, "invalid width {} (must be > 0)", style.width);
  style.break_long_words = !a.has(2) || truth(run, a[2]);
  style.break_on_hyphens = !a.has(4) || truth(run, a[4]);
  const std::string separator = a.has(3) && !a[3].is_none() ? text_argument(a[3], "wordwrap") : "\n";
  run.step(a[0].text().size());
  TextBuilder text(run);
  bool first_line = true;
  for (std::string_view line : split_lines(a[0].text())) {
    if (!first_line) text += separator;
    first_line = false;
    bool first = true;
    for (const std::string& piece : wrap_line(line, style)) {
      if (!first) text += separator;
      first = false;
      text += piece;
    }
  }
  return text.value();
}

Value format(Run& run, Arguments& arguments) {
  if (arguments.positional.empty()) refuse(Fault::type_error, "format() missing 1 required positional argument: 'value'");
  if (arguments.positional.size() > 1 && !arguments.named.empty())
    refuse(Fault::filter_argument_error, "can't handle positional and keyword arguments at the same time");
  const Value text = to_string(run, arguments.positional[0]);
  if (arguments.named.empty()) {
    arguments.positional.erase(arguments.positional.begin());
    return percent_format(run, text, run.tuple(std::move(arguments.positional)));
  }
  DictBuilder names(run);
  for (auto& [name, value] : arguments.named) names.set(run.string(name), std::move(value));
  return percent_format(run, text, names.value());
}

Value string(Run& run, Arguments& arguments) { return to_string(run, bind(arguments, "string", {"object"}, 1)[0]); }

constexpr std::array filters = {
    Filter{"center", center},          Filter{"trim", trim},
    Filter{"replace", replace},        Filter{"indent", indent},
    Filter{"truncate", truncate_text}, Filter{"wordcount", word_count},
    Filter{"wordwrap", word_wrap},     Filter{"format", format},
    Filter{"string", string},
};

}  // namespace

std::span<const Filter> layout_filters() { return filters; }

}  // namespace nibble::jinja
