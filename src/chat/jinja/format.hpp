#pragma once

#include <span>
#include <string>
#include <string_view>

#include "chat/jinja/methods.hpp"
#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// format % arguments: a tuple, a mapping or a single value.
Value percent_format(Run& run, const Value& format, const Value& arguments);

/// format(value, spec) of Python's format specification language.
std::string format_value(Run& run, const Value& value, std::string_view spec);

/// str.format and str.format_map, with the sandbox's attribute access.
std::span<const Method> format_methods();

/// How a number is laid out; shared by % formatting and format specifications.
struct NumberLayout {
  char type = 0;  ///< d x X o b e E f F g G %, n or 0
  int64_t precision = -1;
  char sign = '-';  ///< '-', '+' or ' '
  bool alternate = false;
  char grouping = 0;  ///< ',' or '_'
};

/// A number split where padding with zeros would go.
struct NumberText {
  std::string sign;  ///< with the base prefix
  std::string digits;
};

NumberText layout_integer(Run& run, const Value& integer, const NumberLayout& layout);
NumberText layout_float(Run& run, double value, const NumberLayout& layout);

/// `digits` padded to `width` (code points) with `fill`; align is '<', '>', '^' or '=' (between sign and digits).
void append_padded(TextBuilder& text, const NumberText& number, std::string_view fill, char align, int64_t width);

}  // namespace nibble::jinja
