#include <algorithm>
#include <limits>

#include "chat/jinja/format.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

/// [[fill]align][sign][#][0][width][grouping][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = 0;
  int64_t width = 0;
  bool zero = false;
  NumberLayout number{0, -1, 0, false, 0};
};

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

int64_t read_digits(std::string_view& text) {
  int64_t number = -1;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    number = std::max<int64_t>(number, 0) * 10 + (text[0] - '0');
    if (number > std::numeric_limits<int32_t>::max()) refuse(Fault::value_error, "Too many decimal digits in format string");
    text.remove_prefix(1);
  }
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

void read_alignment(std::string_view& text, Spec& spec) {
  size_t first = 0;
  if (!text.empty()) next_code_point(text, first);
  if (first > 0 && first < text.size() && is_align(text[first])) {
    spec.fill = std::string(text.substr(0, first));
    spec.align = text[first];
    text.remove_prefix(first + 1);
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
    text.remove_prefix(1);
  }
}

Spec parse(std::string_view text) {
  Spec spec;
  read_alignment(text, spec);
  for (char sign : {'+', '-', ' '})
    if (!spec.number.sign && take(text, sign)) spec.number.sign = sign;
  spec.number.alternate = take(text, '#');
  if (!spec.align && take(text, '0')) {
    spec.zero = true;
    spec.fill.assign(1, '0');
    spec.align = '=';
  }
  spec.width = std::max<int64_t>(read_digits(text), 0);
  for (char separator : {',', '_'})
    if (take(text, separator)) spec.number.grouping = separator;
  if (take(text, '.')) {
    spec.number.precision = read_digits(text);
    if (spec.number.precision < 0) refuse(Fault::value_error, "Format specifier missing precision");
  }
  if (text.size() > 1) refuse(Fault::value_error, "Invalid format specifier");
  if (!text.empty()) spec.number.type = text[0];
  return spec;
}

[[noreturn]] void unknown_code(char code, const Value& value) {
  refuse(Fault::value_error, "Unknown format code '{}' for object of type '{}'", code, type_name(value));
}

std::string format_text(Run& run, const Value& value, const Spec& spec) {
  if (spec.number.type && spec.number.type != 's') unknown_code(spec.number.type, value);
  if (spec.number.sign) refuse(Fault::value_error, "Sign not allowed in string format specifier");
  if (spec.align == '=' && !spec.zero) refuse(Fault::value_error, "'=' alignment not allowed in string format specifier");
  Value content = value;
  if (spec.number.precision >= 0) content = slice(run, content, None{}, spec.number.precision, None{});
  TextBuilder text(run);
  append_padded(text, {"", content.text()}, spec.fill, spec.align && !spec.zero ? spec.align : '<', spec.width);
  return text.take();
}

std::string format_number(Run& run, const Value& value, Spec spec) {
  constexpr std::string_view of_integers = "bcdoxXn", of_floats = "eEfFgG%n";
  NumberLayout& layout = spec.number;
  if (!layout.sign) layout.sign = '-';
  const char type = layout.type;
  NumberText number;
  if (value.is_integer() && (type == 0 || of_integers.find(type) != std::string_view::npos)) {
    if (layout.precision >= 0) refuse(Fault::value_error, "Precision not allowed in integer format specifier");
    if (type == 'c') {
      const int64_t code = to_index(value);
      if (code < 0 || code > 0x10FFFF) refuse(Fault::overflow_error, "%c arg not in range(0x110000)");
      append_utf8(number.digits, static_cast<char32_t>(code));
    } else {
      number = layout_integer(run, value, layout);
    }
  } else if (type == 0 || of_floats.find(type) != std::string_view::npos) {
    if (type == 'n') layout.type = 'g';
    number = layout_float(run, to_double(value), layout);
  } else {
    unknown_code(type, value);
  }
  TextBuilder text(run);
  append_padded(text, number, spec.fill, spec.align ? spec.align : '>', spec.width);
  return text.take();
}

}  // namespace

std::string format_value(Run& run, const Value& value, std::string_view spec) {
  if (spec.empty()) return to_string(run, value).text();
  if (value.is_string()) return format_text(run, value, parse(spec));
  if (value.is_bool() && parse(spec).number.type == 0) return format_text(run, to_string(run, value), parse(spec));
  if (value.is_number()) return format_number(run, value, parse(spec));
  refuse(Fault::type_error, "unsupported format string passed to {}.__format__", type_name(value));
}

}  // namespace nibble::jinja
