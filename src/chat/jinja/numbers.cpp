#include "chat/jinja/numbers.hpp"

#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

constexpr double two_63 = 9223372036854775808.0;

/// Places the decimal point among `digits`; the value is 0.DIGITS x 10^point.
std::string fixed_layout(const std::string& digits, int point) {
  if (point <= 0) return "0." + std::string(static_cast<size_t>(-point), '0') + digits;
  const auto whole = static_cast<size_t>(point);
  if (whole >= digits.size()) return digits + std::string(whole - digits.size(), '0') + ".0";
  return digits.substr(0, whole) + "." + digits.substr(whole);
}

/// `text` without its underscores; nothing when one is not between two digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      result += text[i];
      continue;
    }
    auto alnum = [](char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); };
    if (i == 0 || i + 1 == text.size() || !alnum(text[i - 1]) || !alnum(text[i + 1])) return std::nullopt;
  }
  return result;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lowered = static_cast<char>(c | 0x20);
  return lowered >= 'a' && lowered <= 'z' ? lowered - 'a' + 10 : 99;
}

int prefix_base(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  switch (text[1] | 0x20) {
    case 'x': return 16;
    case 'o': return 8;
    case 'b': return 2;
    default: return 0;
  }
}

/// White space around, then a sign: true for minus.
bool take_sign(std::string_view& text) {
  text = strip(text, nullptr, true, true);
  if (text.empty() || (text[0] != '-' && text[0] != '+')) return false;
  bool minus = text[0] == '-';
  text.remove_prefix(1);
  return minus;
}

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), std::fabs(value), std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), end, exponent);
  const std::string sign = value < 0 ? "-" : "";
  if (exponent >= -4 && exponent < 16) return sign + fixed_layout(digits, exponent + 1);
  const std::string mantissa = digits.size() > 1 ? digits.substr(0, 1) + "." + digits.substr(1) : digits;
  return fmt::format("{}{}e{}{:02}", sign, mantissa, exponent < 0 ? '-' : '+', std::abs(exponent));
}

std::optional<double> parse_float(std::string_view text) {
  const bool minus = take_sign(text);
  auto plain = without_underscores(text);
  if (!plain || plain->empty()) return std::nullopt;
  if ((*plain)[0] == '-') return std::nullopt;
  double value = 0;
  const char* end = plain->data() + plain->size();
  auto [stop, code] = std::from_chars(plain->data(), end, value);
  if (code == std::errc::invalid_argument || stop != end || plain->find('(') != std::string::npos) return std::nullopt;
  if (code == std::errc::result_out_of_range)
    value =
        plain->find("e-") == std::string::npos && plain->find("E-") == std::string::npos ? std::numeric_limits<double>::infinity() : 0.0;
  return minus ? -value : value;
}

std::optional<Value> parse_integer(std::string_view text, int base) {
  const bool minus = take_sign(text);
  const int prefix = prefix_base(text);
  if (prefix && (base == 0 || base == prefix)) {
    text.remove_prefix(2);
    if (!text.empty() && text[0] == '_') text.remove_prefix(1);
    base = prefix;
  }
  const bool automatic = base == 0;
  if (automatic) base = 10;
  auto digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  for (char c : *digits)
    if (digit_value(c) >= base) return std::nullopt;
  if (automatic && (*digits)[0] == '0' && digits->find_first_not_of('0') != std::string::npos) return std::nullopt;
  BigInteger value = BigInteger::parse(*digits, base);
  return Value(minus ? value.negated() : value);
}

BigInteger to_big(const Value& integer) {
  if (integer.is_big()) return integer.big();
  return BigInteger(integer.is_bool() ? int64_t{integer.boolean()} : integer.small());
}

double to_double(const Value& number) {
  if (number.is_float()) return number.real();
  if (number.is_bool()) return number.boolean();
  if (number.is_small()) return static_cast<double>(number.small());
  double value = number.big().to_double();
  if (std::isinf(value)) refuse(Fault::overflow_error, "int too large to convert to float");
  return value;
}

int64_t to_index(const Value& value) {
  if (value.is_undefined()) refuse(value.undefined().fault, "{}", value.undefined().message);
  if (!value.is_integer()) refuse(Fault::type_error, "'{}' object cannot be interpreted as an integer", type_name(value));
  if (value.is_bool()) return value.boolean();
  if (value.is_small()) return value.small();
  return value.big().negative() ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

std::string integer_text(const Value& integer, int base) {
  if (integer.is_small() && base == 10) return std::to_string(integer.small());
  BigInteger big = to_big(integer);
  return fmt::format("{}{}", big.negative() ? "-" : "", big.magnitude(base));
}

Value truncate(double value) {
  if (std::isnan(value)) refuse(Fault::value_error, "cannot convert float NaN to integer");
  if (std::isinf(value)) refuse(Fault::overflow_error, "cannot convert float infinity to integer");
  if (std::fabs(value) < two_63) return static_cast<int64_t>(value);
  return BigInteger::from_double(value);
}

namespace {

int sign_of(std::strong_ordering order) { return order < 0 ? -1 : order > 0; }

int compare_with_double(const Value& integer, double real) {
  if (std::isnan(real)) return 2;
  if (std::isinf(real)) return real > 0 ? -1 : 1;
  const double whole = std::trunc(real);
  int order = sign_of(to_big(integer) <=> to_big(truncate(whole)));
  if (order != 0 || whole == real) return order;
  return real > whole ? -1 : 1;
}

}  // namespace

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_small() && b.is_small()) return a.small() < b.small() ? -1 : a.small() > b.small();
  if (a.is_float() && b.is_float()) {
    if (std::isnan(a.real()) || std::isnan(b.real())) return 2;
    return a.real() < b.real() ? -1 : a.real() > b.real();
  }
  if (a.is_float()) {
    int order = compare_with_double(b, a.real());
    return order == 2 ? 2 : -order;
  }
  if (b.is_float()) return compare_with_double(a, b.real());
  return sign_of(to_big(a) <=> to_big(b));
}

size_t hash_number(const Value& number) {
  if (number.is_small()) return std::hash<int64_t>()(number.small());
  if (number.is_bool()) return std::hash<int64_t>()(number.boolean());
  const double value = number.is_big() ? number.big().to_double() : number.real();
  // Equal numbers hash alike: whole floats in range as integers, everything else by its float.
  if (std::trunc(value) == value && std::fabs(value) < two_63) return std::hash<int64_t>()(static_cast<int64_t>(value));
  return std::hash<double>()(value);
}

}  // namespace nibble::jinja
