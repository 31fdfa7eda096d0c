#include "chat/jinja/big_integer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "chat/jinja/failure.hpp"

namespace nibble::jinja {

BigInteger::BigInteger(Limbs limbs, bool negative) : limbs_(std::move(limbs)) {
  trim(limbs_);
  negative_ = negative && !limbs_.empty();
  if (bit_length() > max_bits) refuse(Fault::overflow_error, "integers of more than {} bits are not supported in templates", max_bits);
}

BigInteger::BigInteger(int64_t value) : negative_(value < 0) {
  uint64_t magnitude = negative_ ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  for (; magnitude; magnitude >>= 32) limbs_.push_back(static_cast<uint32_t>(magnitude));
}

BigInteger BigInteger::from_double(double value) {
  int exponent = 0;
  double fraction = std::frexp(std::fabs(std::trunc(value)), &exponent);
  if (exponent <= 0) return {};
  auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, 53));
  if (exponent <= 53) return BigInteger(static_cast<int64_t>(mantissa >> (53 - exponent)) * (value < 0 ? -1 : 1));
  const auto shift = static_cast<size_t>(exponent - 53);
  Limbs limbs(shift / 32 + 3);
  for (size_t i = 0; i < 53; ++i) {
    size_t bit = i + shift;
    if (mantissa >> i & 1) limbs[bit / 32] |= uint32_t{1} << (bit % 32);
  }
  return {std::move(limbs), value < 0};
}

BigInteger BigInteger::parse(std::string_view digits, int base) {
  BigInteger result;
  for (char c : digits) {
    uint64_t carry = static_cast<uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    for (uint32_t& limb : result.limbs_) {
      carry += uint64_t{limb} * static_cast<uint64_t>(base);
      limb = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    if (carry) result.limbs_.push_back(static_cast<uint32_t>(carry));
    if (result.limbs_.size() * 32 > max_bits + 64) break;
  }
  return {std::move(result.limbs_), false};
}

void BigInteger::trim(Limbs& limbs) {
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
}

size_t BigInteger::bit_length() const {
  return limbs_.empty() ? 0 : limbs_.size() * 32 - static_cast<size_t>(std::countl_zero(limbs_.back()));
}

std::optional<int64_t> BigInteger::small() const {
  if (limbs_.size() > 2) return std::nullopt;
  uint64_t magnitude = 0;
  for (size_t i = limbs_.size(); i-- > 0;) magnitude = magnitude << 32 | limbs_[i];
  const uint64_t limit = uint64_t{1} << 63;
  if (magnitude > limit || (magnitude == limit && !negative_)) return std::nullopt;
  return static_cast<int64_t>(negative_ ? ~magnitude + 1 : magnitude);
}

double BigInteger::to_double() const {
  // The lowest bit of the 64 kept ones stands for all that are dropped, so that the one rounding below is correct.
  const size_t bits = bit_length();
  const size_t drop = bits > 64 ? bits - 64 : 0;
  uint64_t top = 0;
  for (size_t bit = bits; bit-- > drop;) top = top << 1 | (limbs_[bit / 32] >> (bit % 32) & 1);
  bool sticky = false;
  for (size_t bit = 0; bit < drop && !sticky; ++bit) sticky = limbs_[bit / 32] >> (bit % 32) & 1;
  double value = std::ldexp(static_cast<double>(top | static_cast<uint64_t>(sticky)), static_cast<int>(drop));
  return negative_ ? -value : value;
}

uint32_t BigInteger::divide_small(Limbs& a, uint32_t divisor) {
  uint64_t rest = 0;
  for (size_t i = a.size(); i-- > 0;) {
    rest = rest << 32 | a[i];
    a[i] = static_cast<uint32_t>(rest / divisor);
    rest %= divisor;
  }
  trim(a);
  return static_cast<uint32_t>(rest);
}

std::string BigInteger::magnitude(int base) const {
  if (limbs_.empty()) return "0";
  std::string text;
  for (Limbs rest = limbs_; !rest.empty();) {
    uint32_t digit = divide_small(rest, static_cast<uint32_t>(base));
    text += static_cast<char>(digit < 10 ? '0' + digit : 'a' + digit - 10);
  }
  std::reverse(text.begin(), text.end());
  return text;
}

BigInteger BigInteger::negated() const { return {limbs_, !negative_}; }

BigInteger::Limbs BigInteger::add(const Limbs& a, const Limbs& b) {
  Limbs sum(std::max(a.size(), b.size()) + 1);
  uint64_t carry = 0;
  for (size_t i = 0; i < sum.size(); ++i) {
    carry += (i < a.size() ? a[i] : uint64_t{0}) + (i < b.size() ? b[i] : uint64_t{0});
    sum[i] = static_cast<uint32_t>(carry);
    carry >>= 32;
  }
  return sum;
}

BigInteger::Limbs BigInteger::subtract(const Limbs& a, const Limbs& b) {
  Limbs difference(a.size());
  int64_t borrow = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t digit = int64_t{a[i]} - (i < b.size() ? int64_t{b[i]} : 0) - borrow;
    borrow = digit < 0;
    difference[i] = static_cast<uint32_t>(digit + (borrow << 32));
  }
  return difference;
}

std::strong_ordering BigInteger::compare(const Limbs& a, const Limbs& b) {
  if (a.size() != b.size()) return a.size() <=> b.size();
  for (size_t i = a.size(); i-- > 0;)
    if (a[i] != b[i]) return a[i] <=> b[i];
  return std::strong_ordering::equal;
}

std::strong_ordering operator<=>(const BigInteger& a, const BigInteger& b) {
  if (a.negative_ != b.negative_) return a.negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  return a.negative_ ? BigInteger::compare(b.limbs_, a.limbs_) : BigInteger::compare(a.limbs_, b.limbs_);
}

BigInteger operator+(const BigInteger& a, const BigInteger& b) {
  if (a.negative_ == b.negative_) return {BigInteger::add(a.limbs_, b.limbs_), a.negative_};
  if (BigInteger::compare(a.limbs_, b.limbs_) >= 0) return {BigInteger::subtract(a.limbs_, b.limbs_), a.negative_};
  return {BigInteger::subtract(b.limbs_, a.limbs_), b.negative_};
}

BigInteger operator*(const BigInteger& a, const BigInteger& b) {
  BigInteger::Limbs product(a.limbs_.size() + b.limbs_.size() + 1);
  for (size_t i = 0; i < a.limbs_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.limbs_.size() || carry; ++j) {
      carry += product[i + j] + uint64_t{a.limbs_[i]} * (j < b.limbs_.size() ? b.limbs_[j] : 0);
      product[i + j] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }
  return {std::move(product), a.negative_ != b.negative_};
}

/// Long division, bit by bit: numbers this large are rare and short enough for it.
void BigInteger::divide(const Limbs& a, const Limbs& b, Limbs& quotient, Limbs& remainder) {
  quotient.assign(a.size(), 0);
  remainder.clear();
  for (size_t bit = a.size() * 32; bit-- > 0;) {
    uint32_t carry = a[bit / 32] >> (bit % 32) & 1;
    for (uint32_t& limb : remainder) {
      uint32_t next = limb >> 31;
      limb = limb << 1 | carry;
      carry = next;
    }
    if (carry) remainder.push_back(carry);
    if (compare(remainder, b) < 0) continue;
    remainder = subtract(remainder, b);
    trim(remainder);
    quotient[bit / 32] |= uint32_t{1} << (bit % 32);
  }
}

BigInteger::Division BigInteger::floor_divide(const BigInteger& divisor) const {
  Limbs quotient, remainder;
  divide(limbs_, divisor.limbs_, quotient, remainder);
  Division result{BigInteger(std::move(quotient), negative_ != divisor.negative_), BigInteger(std::move(remainder), negative_)};
  if (!result.remainder.zero() && negative_ != divisor.negative_) {
    result.quotient = result.quotient - BigInteger(1);
    result.remainder = result.remainder + divisor;
  }
  return result;
}

}  // namespace nibble::jinja
