#include <algorithm>
#include <cmath>

#include "chat/jinja/format.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

std::string sign_text(bool negative, char sign) {
  if (negative) return "-";
  return sign == '-' ? "" : std::string(1, sign);
}

std::string upper_case(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

/// Separators between groups of `size` digits, counted from the right of the leading run of `count` digits.
std::string grouped(const std::string& digits, size_t count, char separator, size_t size) {
  std::string result;
  for (size_t i = 0; i < count; ++i) {
    if (i && (count - i) % size == 0) result += separator;
    result += digits[i];
  }
  return result + digits.substr(count);
}

int base_of(char type) {
  switch (type) {
    case 'x':
    case 'X': return 16;
    case 'o': return 8;
    case 'b': return 2;
    default: return 10;
  }
}

/// %g: fixed or exponent form of `precision` significant digits, without trailing zeros unless alternate.
std::string general(double value, int precision, bool alternate) {
  return alternate ? fmt::format("{:#.{}g}", value, precision) : fmt::format("{:.{}g}", value, precision);
}

std::string float_digits(double value, const NumberLayout& layout) {
  const int precision = static_cast<int>(layout.precision < 0 ? 6 : layout.precision);
  switch (layout.type) {
    case 'e':
    case 'E': return layout.alternate ? fmt::format("{:#.{}e}", value, precision) : fmt::format("{:.{}e}", value, precision);
    case 'f':
    case 'F': return layout.alternate ? fmt::format("{:#.{}f}", value, precision) : fmt::format("{:.{}f}", value, precision);
    case '%': return fmt::format("{:.{}f}%", value * 100, precision);
    case 'g':
    case 'G': return general(value, std::max(precision, 1), layout.alternate);
    default: break;
  }
  if (layout.precision < 0) return float_repr(value);
  std::string text = general(value, std::max(precision, 1), false);
  // Without a type there is always a digit behind the point, as in repr().
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

}  // namespace

NumberText layout_integer(Run& run, const Value& integer, const NumberLayout& layout) {
  if (integer.is_big()) run.step(1000);
  const int base = base_of(layout.type);
  NumberText number;
  std::string digits = integer_text(integer, base);
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  if (layout.precision > 0) {
    run.require_text(static_cast<size_t>(layout.precision));
    const auto wanted = static_cast<size_t>(layout.precision);
    if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
  }
  number.sign = sign_text(negative, layout.sign);
  if (layout.alternate && base != 10) number.sign += std::string("0") + layout.type;
  if (layout.grouping) digits = grouped(digits, digits.size(), layout.grouping, base == 10 ? 3 : 4);
  number.digits = layout.type == 'X' ? upper_case(digits) : digits;
  return number;
}

NumberText layout_float(Run& run, double value, const NumberLayout& layout) {
  constexpr int64_t most_digits = 100'000;
  if (layout.precision > most_digits) refuse(Fault::value_error, "precision too big");
  run.step(1 + static_cast<uint64_t>(std::max<int64_t>(layout.precision, 0)));
  NumberText number;
  const bool negative = std::signbit(value) && !std::isnan(value);
  number.sign = sign_text(negative, layout.sign);
  if (!std::isfinite(value)) {
    number.digits = std::string(std::isnan(value) ? "nan" : "inf") + (layout.type == '%' ? "%" : "");
  } else {
    number.digits = float_digits(std::fabs(value), layout);
  }
  if (layout.grouping) {
    const size_t whole = std::min(number.digits.find_first_not_of("0123456789"), number.digits.size());
    number.digits = grouped(number.digits, whole, layout.grouping, 3);
  }
  if (layout.type == 'E' || layout.type == 'F' || layout.type == 'G') number.digits = upper_case(number.digits);
  return number;
}

void append_padded(TextBuilder& text, const NumberText& number, std::string_view fill, char align, int64_t width) {
  const auto size = static_cast<int64_t>(count_code_points(number.sign) + count_code_points(number.digits));
  const int64_t margin = width > size ? width - size : 0;
  const int64_t left = align == '>' ? margin : align == '^' ? margin / 2 : 0;
  text.repeat(fill, static_cast<uint64_t>(left));
  text += number.sign;
  if (align == '=') text.repeat(fill, static_cast<uint64_t>(margin));
  text += number.digits;
  if (align != '=') text.repeat(fill, static_cast<uint64_t>(margin - left));
}

}  // namespace nibble::jinja
