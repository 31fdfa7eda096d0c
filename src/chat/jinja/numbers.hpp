#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "chat/jinja/value.hpp"

namespace nibble::jinja {

/// Numbers as Python writes, reads and computes them. Stateless, thread-safe.

/// repr(float): the shortest digits that read back as the same number.
std::string float_repr(double value);
/// float(text); nothing where Python raises ValueError.
std::optional<double> parse_float(std::string_view text);
/// int(text, base) for base 0 or 2 to 36; nothing where Python raises ValueError.
std::optional<Value> parse_integer(std::string_view text, int base);

/// Any int or bool as a big integer.
BigInteger to_big(const Value& integer);
/// Any number as a float; throws Failure{overflow_error} for an int that is too large.
double to_double(const Value& number);
/// An index or count: an int within 64 bits (clamped beyond), else Failure{type_error}.
int64_t to_index(const Value& value);
/// The integer's text in base 2, 8, 10 or 16, without prefix.
std::string integer_text(const Value& integer, int base = 10);
/// int(float); throws for infinities and NaN.
Value truncate(double value);

/// -1, 0, 1, or 2 for NaN.
int compare_numbers(const Value& a, const Value& b);
size_t hash_number(const Value& number);

/// + - * / // % ** on numbers; `op` is the operator's text.
Value arithmetic(std::string_view op, const Value& a, const Value& b);
Value negate(const Value& number);

}  // namespace nibble::jinja
