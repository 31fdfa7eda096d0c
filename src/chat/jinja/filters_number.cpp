#include <array>
#include <cmath>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"

namespace nibble::jinja {

namespace {

Value absolute(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "abs", {""}, 1);
  if (!a[0].is_number()) refuse(Fault::type_error, "bad operand type for abs(): '{}'", type_name(a[0]));
  if (a[0].is_float()) return std::fabs(a[0].real());
  return less(run, a[0], int64_t{0}) ? negate(a[0]) : unary(run, "+", a[0]);
}

/// float(value); nothing where Python raises TypeError or ValueError.
std::optional<double> as_float(const Value& value) {
  if (value.is_undefined()) use_undefined(value);
  if (value.is_string()) return parse_float(value.text());
  if (value.is_number()) return to_double(value);
  return std::nullopt;
}

/// int(value, base), likewise.
std::optional<Value> as_integer(const Value& value, int64_t base) {
  if (value.is_undefined()) use_undefined(value);
  if (value.is_string()) {
    if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
    return parse_integer(value.text(), static_cast<int>(base));
  }
  if (value.is_float()) return std::isnan(value.real()) ? std::nullopt : std::optional<Value>(truncate(value.real()));
  if (value.is_integer()) return value.is_bool() ? Value(int64_t{value.boolean()}) : value;
  return std::nullopt;
}

Value to_int(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "int", {"value", "default", "base"}, 1);
  if (a[0].is_string()) run.step(a[0].text().size());
  if (auto number = as_integer(a[0], a.has(2) ? to_index(a[2]) : 10)) return *number;
  // "42.23" is 42.
  if (auto number = as_float(a[0]); number && std::isfinite(*number)) return truncate(*number);
  return a.get(1, int64_t{0});
}

Value to_float(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "float", {"value", "default"}, 1);
  if (a[0].is_string()) run.step(a[0].text().size());
  if (auto number = as_float(a[0])) return *number;
  return a.get(1, 0.0);
}

/// round(number, digits) to even, exact as Python's: by way of the decimal digits.
double round_float(double value, int64_t digits) {
  constexpr int64_t most = 330;
  if (!std::isfinite(value) || digits > most) return value;
  if (digits < -most) return 0 * value;
  if (digits < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-digits));
    return std::nearbyint(value / scale) * scale;
  }
  return *parse_float(fmt::format("{:.{}f}", value, static_cast<int>(digits)));
}

/// Integers round to tens and hundreds only, half to even.
Value round_integer(const Value& value, int64_t digits) {
  constexpr int64_t most = 4000;
  if (digits >= 0) return value.is_bool() ? Value(int64_t{value.boolean()}) : value;
  if (digits < -most) return int64_t{0};
  const BigInteger unit = to_big(arithmetic("**", int64_t{10}, -digits));
  auto [quotient, remainder] = to_big(value).floor_divide(unit);
  const auto order = remainder + remainder <=> unit;
  const bool odd = !quotient.zero() && (quotient.limbs()[0] & 1);
  if (order > 0 || (order == 0 && odd)) quotient = quotient + BigInteger(1);
  return quotient * unit;
}

Value round_number(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "round", {"value", "precision", "method"}, 1);
  const std::string method = a.has(2) ? text_argument(a[2], "round") : "common";
  if (method != "common" && method != "ceil" && method != "floor")
    refuse(Fault::filter_argument_error, "method must be common, ceil or floor");
  if (!a[0].is_number() && method == "common") refuse(Fault::type_error, "type {} doesn't define __round__ method", type_name(a[0]));
  const int64_t digits = a.has(1) ? to_index(a[1]) : 0;
  if (method == "common") return a[0].is_float() ? Value(round_float(a[0].real(), digits)) : round_integer(a[0], digits);
  constexpr int64_t most = 4000;
  if (digits > most || digits < -most) refuse(Fault::overflow_error, "a precision of {} is too large", digits);
  const Value scale = arithmetic("**", int64_t{10}, digits);
  const Value product = binary(run, "*", a[0], scale);
  if (!product.is_number()) refuse(Fault::type_error, "must be real number, not {}", type_name(product));
  if (product.is_integer()) return arithmetic("/", product, scale);
  return arithmetic("/", truncate(method == "ceil" ? std::ceil(product.real()) : std::floor(product.real())), scale);
}

Value file_size(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "filesizeformat", {"value", "binary"}, 1);
  const bool binary = a.has(1) && truth(run, a[1]);
  const auto bytes = as_float(a[0]);
  if (!bytes && !a[0].is_string())
    refuse(Fault::type_error, "float() argument must be a string or a real number, not '{}'", type_name(a[0]));
  if (!bytes) refuse(Fault::value_error, "could not convert to float: {}", repr(run, a[0]));
  constexpr std::string_view letters = "kMGTPEZY", binary_letters = "KMGTPEZY";
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) return run.string("1 Byte");
  if (*bytes < base) return run.string(integer_text(truncate(*bytes)) + " Bytes");
  double unit = base;
  size_t prefix = 0;
  for (; prefix + 1 < letters.size() && *bytes >= unit * base; ++prefix) unit *= base;
  const char letter = (binary ? binary_letters : letters)[prefix];
  return run.string(fmt::format("{:.1f} {}{}", *bytes / unit, letter, binary ? "iB" : "B"));
}

constexpr std::array filters = {
    Filter{"abs", absolute},
    Filter{"int", to_int},
    Filter{"float", to_float},
    Filter{"round", round_number},
    Filter{"filesizeformat", file_size},
};

}  // namespace

std::span<const Filter> number_filters() { return filters; }

}  // namespace nibble::jinja
