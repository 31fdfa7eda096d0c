#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "chat/jinja/methods.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/objects.hpp"
#include "chat/jinja/operators.hpp"

namespace nibble::jinja {

namespace {

Value bit_length(Run&, const Value& self, Arguments& arguments) {
  bind(arguments, "bit_length", {});
  return static_cast<int64_t>(to_big(self).bit_length());
}

Value bit_count(Run&, const Value& self, Arguments& arguments) {
  bind(arguments, "bit_count", {});
  int64_t count = 0;
  const BigInteger value = to_big(self);
  for (uint32_t limb : value.limbs()) count += std::popcount(limb);
  return count;
}

Value conjugate(Run&, const Value& self, Arguments& arguments) {
  bind(arguments, "conjugate", {});
  return self;
}

/// The two's complement bytes of `value`, lowest first.
std::string little_endian(const BigInteger& value, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size && i / 4 < value.limbs().size(); ++i) bytes[i] = static_cast<char>(value.limbs()[i / 4] >> (i % 4 * 8));
  if (!value.negative()) return bytes;
  int carry = 1;
  for (char& byte : bytes) {
    carry += static_cast<unsigned char>(~byte);
    byte = static_cast<char>(carry);
    carry >>= 8;
  }
  return bytes;
}

Value to_bytes(Run& run, const Value& self, Arguments& arguments) {
  Bound a = bind(arguments, "to_bytes", {"length", "byteorder", "signed"});
  const int64_t size = a.has(0) ? to_index(a[0]) : 1;
  const std::string order = a.has(1) ? text_argument(a[1], "to_bytes") : "big";
  const bool is_signed = a.has(2) && truth(run, a[2]);
  const BigInteger value = to_big(self);
  if (size < 0) refuse(Fault::value_error, "length argument must be non-negative");
  if (order != "big" && order != "little") refuse(Fault::value_error, "byteorder must be either 'little' or 'big'");
  if (value.negative() && !is_signed) refuse(Fault::overflow_error, "can't convert negative int to unsigned");
  if (value.bit_length() + is_signed > static_cast<uint64_t>(size) * 8) refuse(Fault::overflow_error, "int too big to convert");
  run.require_text(static_cast<size_t>(size));
  std::string bytes = little_endian(value, static_cast<size_t>(size));
  if (order == "big") std::reverse(bytes.begin(), bytes.end());
  return run.make<Bytes>(std::move(bytes));
}

Value is_integer(Run&, const Value& self, Arguments& arguments) {
  bind(arguments, "is_integer", {});
  return std::isfinite(self.real()) && std::trunc(self.real()) == self.real();
}

Value as_integer_ratio(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "as_integer_ratio", {});
  if (self.is_integer()) return run.tuple({self, int64_t{1}});
  double number = self.real();
  int64_t denominator_bits = 0;
  if (!std::isfinite(number)) return run.tuple({truncate(number), int64_t{1}});
  for (; number != std::trunc(number); ++denominator_bits) number *= 2;
  return run.tuple({truncate(number), arithmetic("**", int64_t{2}, denominator_bits)});
}

constexpr std::array of_int = {
    Method{"bit_length", bit_length},
    Method{"bit_count", bit_count},
    Method{"conjugate", conjugate},
    Method{"to_bytes", to_bytes},
    Method{"as_integer_ratio", as_integer_ratio},
};
constexpr std::array of_float = {
    Method{"is_integer", is_integer},
    Method{"conjugate", conjugate},
    Method{"as_integer_ratio", as_integer_ratio},
};

}  // namespace

std::span<const Method> number_methods(const Value& value) {
  if (value.is_float()) return of_float;
  return of_int;
}

}  // namespace nibble::jinja
