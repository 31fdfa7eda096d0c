#include <cmath>
#include <limits>

#include "chat/jinja/numbers.hpp"

namespace nibble::jinja {

namespace {

constexpr int64_t largest = std::numeric_limits<int64_t>::max();
constexpr int64_t smallest = std::numeric_limits<int64_t>::min();

int64_t small_of(const Value& value) { return value.is_bool() ? int64_t{value.boolean()} : value.small(); }

Value add(const Value& a, const Value& b) {
  if (!a.is_big() && !b.is_big()) {
    const int64_t x = small_of(a), y = small_of(b);
    if (y >= 0 ? x <= largest - y : x >= smallest - y) return x + y;
  }
  return to_big(a) + to_big(b);
}

Value subtract(const Value& a, const Value& b) {
  if (!a.is_big() && !b.is_big()) {
    const int64_t x = small_of(a), y = small_of(b);
    if (y >= 0 ? x >= smallest + y : x <= largest + y) return x - y;
  }
  return to_big(a) - to_big(b);
}

Value multiply(const Value& a, const Value& b) {
  if (!a.is_big() && !b.is_big()) {
    const int64_t x = small_of(a), y = small_of(b), safe = int64_t{1} << 31;
    if (x > -safe && x < safe && y > -safe && y < safe) return x * y;
  }
  return to_big(a) * to_big(b);
}

bool is_zero(const Value& integer) { return to_big(integer).zero(); }

Value floor_divide(const Value& a, const Value& b, bool want_remainder) {
  if (is_zero(b))
    refuse(Fault::zero_division_error, "{}", want_remainder ? "integer modulo by zero" : "integer division or modulo by zero");
  if (!a.is_big() && !b.is_big() && small_of(a) != smallest) {
    const int64_t x = small_of(a), y = small_of(b);
    int64_t quotient = x / y, remainder = x % y;
    if (remainder != 0 && (remainder < 0) != (y < 0)) {
      --quotient;
      remainder += y;
    }
    return want_remainder ? remainder : quotient;
  }
  auto division = to_big(a).floor_divide(to_big(b));
  return want_remainder ? division.remainder : division.quotient;
}

Value float_modulo(double a, double b, bool want_remainder) {
  if (b == 0) refuse(Fault::zero_division_error, "{}", want_remainder ? "float modulo" : "float floor division by zero");
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder != 0 && (b < 0) != (remainder < 0)) {
    remainder += b;
    quotient -= 1;
  } else if (remainder == 0) {
    remainder = std::copysign(0.0, b);
  }
  if (want_remainder) return remainder;
  double floored = std::floor(quotient);
  if (quotient - floored > 0.5) floored += 1;
  return quotient == 0 ? std::copysign(0.0, a / b) : floored;
}

Value float_power(double a, double b) {
  if (a == 0 && b < 0) refuse(Fault::zero_division_error, "0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) refuse(Fault::type_error, "complex numbers are not supported");
  double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) refuse(Fault::overflow_error, "(34, 'Numerical result out of range')");
  return result;
}

Value power(const Value& a, const Value& b) {
  BigInteger exponent = to_big(b);
  if (exponent.negative()) return float_power(to_double(a), to_double(b));
  BigInteger base = to_big(a), result(1);
  const bool trivial = base.zero() || (base.bit_length() == 1);
  if (!trivial && exponent > BigInteger(BigInteger::max_bits)) refuse(Fault::overflow_error, "the result of ** is too large");
  if (trivial) {
    if (exponent.zero()) return int64_t{1};
    const bool odd = exponent.limbs()[0] & 1;
    return base.negative() && !odd ? Value(int64_t{1}) : Value(base);
  }
  for (int64_t rest = exponent.zero() ? 0 : *exponent.small(); rest > 0; rest >>= 1) {
    if (rest & 1) result = result * base;
    if (rest > 1) base = base * base;
  }
  return result;
}

Value on_integers(std::string_view op, const Value& a, const Value& b) {
  if (op == "+") return add(a, b);
  if (op == "-") return subtract(a, b);
  if (op == "*") return multiply(a, b);
  if (op == "//") return floor_divide(a, b, false);
  if (op == "%") return floor_divide(a, b, true);
  if (op == "**") return power(a, b);
  if (is_zero(b)) refuse(Fault::zero_division_error, "division by zero");
  return to_double(a) / to_double(b);
}

}  // namespace

Value arithmetic(std::string_view op, const Value& a, const Value& b) {
  if (!a.is_float() && !b.is_float()) return on_integers(op, a, b);
  const double x = to_double(a), y = to_double(b);
  if (op == "+") return x + y;
  if (op == "-") return x - y;
  if (op == "*") return x * y;
  if (op == "//") return float_modulo(x, y, false);
  if (op == "%") return float_modulo(x, y, true);
  if (op == "**") return float_power(x, y);
  if (y == 0) refuse(Fault::zero_division_error, "float division by zero");
  return x / y;
}

Value negate(const Value& number) {
  if (number.is_float()) return -number.real();
  if (!number.is_big() && small_of(number) != smallest) return -small_of(number);
  return to_big(number).negated();
}

}  // namespace nibble::jinja
