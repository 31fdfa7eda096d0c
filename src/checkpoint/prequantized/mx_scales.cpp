#include "checkpoint/prequantized/mx_scales.hpp"

#include <algorithm>

namespace nibble {

namespace {

/// Exponents, with their offset, that keep the numbers of a code type within f16, which has 2^-24 to 2^15 and 11 bits.
struct ExponentRange {
  unsigned smallest, largest;
};
ExponentRange range_in_f16(ElementType codes) {
  if (codes == ElementType::f4e2m1) return {127 - 23, 127 + 12};  // 0.5 to 6
  return {127 - 15, 127 + 6};                                     // f8e4m3: 2^-9 to 448
}

}  // namespace

void set_mx_scales(GroupedParts& parts, const Tensor& exponents) {
  constexpr int64_t kGroup = 32;
  int64_t columns = parts.shape.back();
  auto bytes = exponents.bytes();
  auto [smallest, largest] = range_in_f16(parts.codes);
  bool fits_f16 = std::all_of(bytes.begin(), bytes.end(), [=](std::byte exponent) {
    auto value = std::to_integer<unsigned>(exponent);
    return value >= smallest && value <= largest;
  });
  parts.scale_type = fits_f16 ? ElementType::f8e8m0 : ElementType::f32;
  auto owner = std::make_shared<Tensor>(exponents);
  parts.scales = group_values(Tensor::view(ElementType::f8e8m0, exponents.shape(), bytes, owner), {columns / kGroup, 1, 1});
  parts.groups = groups_of_size(columns, kGroup);
}

}  // namespace nibble
