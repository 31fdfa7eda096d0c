#include "compress/quantize.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

constexpr float kEpsilon = 0x1p-23f;
constexpr float kLargestF8e4m3 = 448.0f;

float guarded(float scale) { return std::fabs(scale) < kEpsilon ? kEpsilon : scale; }

/// Division by the largest code and the guard against tiny scales, whose order differs between NNCF's two paths.
float scale_of(float largest_weight, float largest_code, bool guard_first) {
  return guard_first ? guarded(largest_weight) / largest_code : guarded(largest_weight / largest_code);
}

/// The smallest power of two that is not below, as NNCF computes it: the large path takes the logarithm as a quotient of
/// natural logarithms, which puts some exact powers one up.
float power_of_two_scale(float scale, bool large) {
  static const float reciprocal = 1.0f / std::log(2.0f);
  float exponent = std::ceil(large ? std::log(scale) * reciprocal : std::log2(scale));
  return std::ldexp(1.0f, static_cast<int>(std::clamp(exponent, -127.0f, 127.0f)));
}

float largest_code(const QuantizeRule& rule) { return rule.levels ? rule.levels->largest : weight_format(rule.mode).largest; }

/// Signed codes become what is stored: int3 and int2 add half their range; the wider types keep two's complement.
void offset_codes(std::span<uint8_t> codes, int half) {
  for (uint8_t& code : codes) code = static_cast<uint8_t>(code + half);
}

}  // namespace

void float_scales(std::span<const float> weights, const QuantizeRule& rule, std::span<float> scales, const QuantizeKernels& kernels) {
  kernels.largest_magnitude(weights.data(), scales.size(), rule.group_size, scales.data());
  // NNCF's large path leaves codebooks to the other one.
  bool guard_first = rule.large && !is_codebook(rule.mode);
  for (float& scale : scales) {
    scale = scale_of(scale, largest_code(rule), guard_first);
    if (is_mx(rule.mode)) scale = power_of_two_scale(scale, rule.large);
  }
}

float second_order_scale(float largest_scale, size_t scale_count) {
  return scale_of(largest_scale, kLargestF8e4m3, scale_count >= kLargeWeight);
}

void quantize_groups(std::span<const float> weights, const QuantizeRule& rule, const QuantizedGroups& out, const QuantizeKernels& kernels) {
  const WeightFormat& format = weight_format(rule.mode);
  const float* w = weights.data();
  size_t size = rule.group_size, groups = weights.size() / size;
  auto half = static_cast<float>(1 << (format.bits - 1));
  switch (format.family) {
    case QuantizerFamily::asymmetric:
      return kernels.asymmetric(w, groups, size, 2 * half - 1, out.codes.data(), out.scales.data(), out.zero_points.data());
    case QuantizerFamily::symmetric:
      kernels.symmetric(w, groups, size, half, out.codes.data(), out.scales.data());
      if (is_offset_symmetric(rule.mode)) offset_codes(out.codes, 1 << (format.bits - 1));
      return;
    case QuantizerFamily::floating:
      float_scales(weights, rule, out.scales, kernels);
      return (format.codes == ElementType::f4e2m1 ? kernels.f4e2m1 : kernels.f8e4m3)(w, groups, size, out.scales.data(), out.codes.data());
    case QuantizerFamily::levels:
      float_scales(weights, rule, out.scales, kernels);
      return kernels.levels(w, groups, size, out.scales.data(), rule.levels->thresholds.data(), rule.levels->thresholds.size(),
                            out.codes.data());
  }
}

void encode_groups(std::span<const float> weights, const QuantizeRule& rule, std::span<const float> scales,
                   std::span<const uint8_t> zero_points, std::span<uint8_t> codes, const QuantizeKernels& kernels) {
  const WeightFormat& format = weight_format(rule.mode);
  const float* w = weights.data();
  auto half = static_cast<float>(1 << (format.bits - 1));
  if (format.family == QuantizerFamily::levels)
    return kernels.levels(w, scales.size(), rule.group_size, scales.data(), rule.levels->thresholds.data(), rule.levels->thresholds.size(),
                          codes.data());
  if (format.family == QuantizerFamily::asymmetric)
    return kernels.encode_asymmetric(w, scales.size(), rule.group_size, 2 * half - 1, scales.data(), zero_points.data(), codes.data());
  kernels.encode_symmetric(w, scales.size(), rule.group_size, half, scales.data(), codes.data());
  if (is_offset_symmetric(rule.mode)) offset_codes(codes, 1 << (format.bits - 1));
}

void pack_codes(ElementType type, std::span<const uint8_t> codes, std::byte* out, size_t first, const QuantizeKernels& kernels) {
  size_t bits = bit_width(type);
  if (bits == 8) {
    std::copy_n(reinterpret_cast<const std::byte*>(codes.data()), codes.size(), out + first);
    return;
  }
  // Codes are packed as unsigned numbers whatever they mean.
  ElementType as = bits == 4 ? ElementType::u4 : type;
  size_t whole = 0;
  if (bits == 4 && first % 2 == 0) {
    whole = codes.size() & ~size_t{1};
    kernels.pack_nibbles(codes.data(), whole, out + first / 2);
  }
  std::array<int64_t, 256> buffer;
  for (size_t done = whole; done < codes.size();) {
    size_t count = std::min(buffer.size(), codes.size() - done);
    std::copy_n(codes.data() + done, count, buffer.data());
    pack_from_int64(as, std::span<const int64_t>(buffer.data(), count), out, first + done);
    done += count;
  }
}

}  // namespace nibble
