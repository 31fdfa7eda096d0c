#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::jinja {

/// An integer of any size up to `max_bits`, for what does not fit in 64 bits. Immutable in use, thread-safe.
/// Operations beyond max_bits throw Failure{overflow_error}. Sign and magnitude, 32-bit limbs, lowest first.
class BigInteger {
 public:
  static constexpr size_t max_bits = 14'000;  // just under the 4300 digits that Python converts to text

  BigInteger() = default;
  explicit BigInteger(int64_t value);
  /// The truncated value of a finite double.
  static BigInteger from_double(double value);
  /// `digits` of base 2 to 36, nothing else.
  static BigInteger parse(std::string_view digits, int base);

  bool negative() const { return negative_; }
  bool zero() const { return limbs_.empty(); }
  std::optional<int64_t> small() const;
  size_t bit_length() const;
  /// Infinite when too large.
  double to_double() const;
  /// Without sign; lower case.
  std::string magnitude(int base) const;
  const std::vector<uint32_t>& limbs() const { return limbs_; }

  BigInteger negated() const;
  friend BigInteger operator+(const BigInteger& a, const BigInteger& b);
  friend BigInteger operator-(const BigInteger& a, const BigInteger& b) { return a + b.negated(); }
  friend BigInteger operator*(const BigInteger& a, const BigInteger& b);
  friend std::strong_ordering operator<=>(const BigInteger& a, const BigInteger& b);
  friend bool operator==(const BigInteger& a, const BigInteger& b) = default;

  struct Division;
  /// Quotient rounded towards minus infinity and the remainder with the sign of the divisor, as Python's // and %.
  Division floor_divide(const BigInteger& divisor) const;

 private:
  using Limbs = std::vector<uint32_t>;
  static Limbs add(const Limbs& a, const Limbs& b);
  static Limbs subtract(const Limbs& a, const Limbs& b);
  static std::strong_ordering compare(const Limbs& a, const Limbs& b);
  static uint32_t divide_small(Limbs& a, uint32_t divisor);
  static void divide(const Limbs& a, const Limbs& b, Limbs& quotient, Limbs& remainder);
  static void trim(Limbs& limbs);
  BigInteger(Limbs limbs, bool negative);

  Limbs limbs_;
  bool negative_ = false;
};

struct BigInteger::Division {
  BigInteger quotient, remainder;
};

}  // namespace nibble::jinja
