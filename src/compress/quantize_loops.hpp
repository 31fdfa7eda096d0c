#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/float_types.hpp"

// The loops of weight compression, written so that compilers turn them into vector code of whatever instruction set the
// function they are inlined into was built for: quantize_kernels.cpp. Hence the attribute: a call would be to shared code.
#define NIBBLE_LOOP [[gnu::always_inline]] inline

namespace nibble::quantize_loops {

constexpr float kEpsilon = 0x1p-23f;     // NNCF's guard of tiny scales: the f32 machine epsilon
constexpr float kToInteger = 0x1.8p23f;  // added to |x| < 2^22, leaves rint(x) in the low bits of the sum, in two's complement
constexpr size_t kLanes = 16;            // two AVX2 registers, one of AVX-512

// min and max as the vector instructions define them: the second operand where the first is NaN.
NIBBLE_LOOP float lesser(float a, float b) { return a < b ? a : b; }
NIBBLE_LOOP float greater(float a, float b) { return a > b ? a : b; }
NIBBLE_LOOP float magnitude(float x) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0x7fffffffu); }
NIBBLE_LOOP float guarded(float scale) { return magnitude(scale) < kEpsilon ? kEpsilon : scale; }

struct Range {
  float low, high;
};

/// Smallest and largest of zero-or-more weights, starting from `start`.
NIBBLE_LOOP Range range_of(const float* w, size_t n, Range start) {
  float low[kLanes], high[kLanes];
  for (size_t k = 0; k < kLanes; ++k) low[k] = start.low, high[k] = start.high;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t k = 0; k < kLanes; ++k) {
      low[k] = lesser(w[i + k], low[k]);
      high[k] = greater(w[i + k], high[k]);
    }
  for (; i < n; ++i) low[0] = lesser(w[i], low[0]), high[0] = greater(w[i], high[0]);
  for (size_t k = 1; k < kLanes; ++k) low[0] = lesser(low[k], low[0]), high[0] = greater(high[k], high[0]);
  return {low[0], high[0]};
}

/// clip(rint(w / scale + offset), low, high); low and high are integers, so clipping first gives the same.
NIBBLE_LOOP void encode_integers(const float* w, size_t n, float scale, float offset, Range clip, uint8_t* codes) {
  for (size_t i = 0; i < n; ++i) {
    float x = lesser(greater(w[i] / scale + offset, clip.low), clip.high);
    codes[i] = static_cast<uint8_t>(std::bit_cast<uint32_t>(x + kToInteger));
  }
}

NIBBLE_LOOP void asymmetric(const float* w, size_t groups, size_t size, float levels, uint8_t* codes, float* scales, uint8_t* zero_points) {
  for (size_t g = 0; g < groups; ++g, w += size, codes += size) {
    Range range = range_of(w, size, {0.0f, 0.0f});
    float scale = guarded((range.high - range.low) / levels);
    float steps = (range.low / scale + kToInteger) - kToInteger;
    float zero_point = lesser(greater(0.0f - steps, 0.0f), levels);
    encode_integers(w, size, scale, zero_point, {0.0f, levels}, codes);
    scales[g] = scale;
    zero_points[g] = static_cast<uint8_t>(zero_point);
  }
}

NIBBLE_LOOP void symmetric(const float* w, size_t groups, size_t size, float half, uint8_t* codes, float* scales) {
  for (size_t g = 0; g < groups; ++g, w += size, codes += size) {
    Range range = range_of(w, size, {__builtin_inff(), -__builtin_inff()});
    float low = magnitude(range.low);
    float scale = guarded((low >= range.high ? low : -range.high) / half);
    encode_integers(w, size, scale, 0.0f, {-half, half - 1.0f}, codes);
    scales[g] = scale;
  }
}

NIBBLE_LOOP void encode_asymmetric(const float* w, size_t groups, size_t size, float levels, const float* scales,
                                   const uint8_t* zero_points, uint8_t* codes) {
  for (size_t g = 0; g < groups; ++g, w += size, codes += size)
    encode_integers(w, size, scales[g], static_cast<float>(zero_points[g]), {0.0f, levels}, codes);
}

NIBBLE_LOOP void encode_symmetric(const float* w, size_t groups, size_t size, float half, const float* scales, uint8_t* codes) {
  for (size_t g = 0; g < groups; ++g, w += size, codes += size) encode_integers(w, size, scales[g], 0.0f, {-half, half - 1.0f}, codes);
}

NIBBLE_LOOP size_t count_not_finite(const float* w, size_t n) {
  uint32_t count = 0;
  size_t total = 0;
  for (size_t i = 0; i < n; i += 1024, total += count, count = 0)
    for (size_t k = i; k < (i + 1024 < n ? i + 1024 : n); ++k) count += (std::bit_cast<uint32_t>(w[k]) & 0x7f800000u) == 0x7f800000u;
  return total;
}

NIBBLE_LOOP void largest_magnitude(const float* w, size_t groups, size_t size, float* out) {
  for (size_t g = 0; g < groups; ++g, w += size) {
    Range range = range_of(w, size, {0.0f, 0.0f});
    out[g] = greater(-range.low, range.high);
  }
}

/// To nearest even, saturating at 6; the sign of zero is kept.
NIBBLE_LOOP void f4e2m1(const float* w, size_t groups, size_t size, const float* scales, uint8_t* codes) {
  for (size_t g = 0; g < groups; ++g, w += size, codes += size)
    for (size_t i = 0; i < size; ++i) {
      float x = w[i] / scales[g];
      float m = magnitude(x);
      uint32_t code = (m > 0.25f) + (m >= 0.75f) + (m > 1.25f) + (m >= 1.75f) + (m > 2.5f) + (m >= 3.5f) + (m > 5.0f);
      codes[i] = static_cast<uint8_t>(code | (std::bit_cast<uint32_t>(x) >> 28 & 8u));
    }
}

/// f32 -> f16 -> f8e4m3, rounding to nearest even twice. Halves below 2^-14 are subnormal, but then the result is 0 anyway.
NIBBLE_LOOP uint32_t f8e4m3_code(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  uint32_t m = bits & 0x7fffffffu;
  uint32_t half = (m + 0xfffu + ((m >> 13) & 1u)) & ~0x1fffu;
  uint32_t normal = ((half + 0x7ffffu + ((half >> 20) & 1u)) >> 20) - ((127u - 7u) << 3);
  uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(half) * 512.0f + kToInteger) & 15u;
  uint32_t code = half >= 0x3c800000u ? normal : subnormal;  // 2^-6
  code = code < 0x7fu ? code : 0x7fu;
  return code | (bits >> 24 & 0x80u);
}

NIBBLE_LOOP void f8e4m3(const float* w, size_t groups, size_t size, const float* scales, uint8_t* codes) {
  for (size_t g = 0; g < groups; ++g, w += size, codes += size)
    for (size_t i = 0; i < size; ++i) codes[i] = static_cast<uint8_t>(f8e4m3_code(w[i] / scales[g]));
}

/// `count` is a template argument where it is known so that the inner loop unrolls.
template <size_t kCount>
NIBBLE_LOOP void levels_of(const float* w, size_t n, float scale, const float* thresholds, size_t count, uint8_t* codes) {
  for (size_t i = 0; i < n; ++i) {
    float x = w[i] / scale;
    uint32_t code = 0;
    for (size_t t = 0; t < (kCount ? kCount : count); ++t) code += x > thresholds[t];
    codes[i] = static_cast<uint8_t>(code);
  }
}

NIBBLE_LOOP void levels(const float* w, size_t groups, size_t size, const float* scales, const float* thresholds, size_t count,
                        uint8_t* codes) {
  for (size_t g = 0; g < groups; ++g, w += size, codes += size)
    if (count == 15)
      levels_of<15>(w, size, scales[g], thresholds, count, codes);
    else
      levels_of<0>(w, size, scales[g], thresholds, count, codes);
}

NIBBLE_LOOP void pack_nibbles(const uint8_t* codes, size_t count, std::byte* out) {
  for (size_t i = 0; i < count / 2; ++i) {
    uint16_t pair;  // little-endian, as all of the IR
    std::memcpy(&pair, codes + 2 * i, 2);
    out[i] = static_cast<std::byte>((pair & 15u) | (pair >> 4 & 0xf0u));
  }
}

NIBBLE_LOOP void widen_f16(const std::byte* packed, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    float16 value;
    std::memcpy(&value, packed + 2 * i, 2);
    uint32_t bits = static_cast<uint32_t>(value.bits & 0x7fffu) << 13;
    uint32_t scaled = std::bit_cast<uint32_t>(std::bit_cast<float>(bits) * 0x1p112f);
    uint32_t finite = bits >= 0x0f800000u ? bits | 0x7f800000u : scaled;
    out[i] = std::bit_cast<float>(finite | static_cast<uint32_t>(value.bits & 0x8000u) << 16);
  }
}

NIBBLE_LOOP void widen_bf16(const std::byte* packed, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, packed + 2 * i, 2);
    out[i] = std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
}

NIBBLE_LOOP double squared_error(float w, uint8_t code, float scale, uint8_t zero_point) {
  float difference = static_cast<float>(static_cast<int32_t>(code) - zero_point) * scale - w;
  return static_cast<double>(difference * difference);
}

NIBBLE_LOOP double asymmetric_error(const float* w, const uint8_t* codes, size_t n, float scale, uint8_t zero_point) {
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t k = 0; k < kLanes; ++k) sums[k] += squared_error(w[i + k], codes[i + k], scale, zero_point);
  for (; i < n; ++i) sums[0] += squared_error(w[i], codes[i], scale, zero_point);
  for (size_t k = 1; k < kLanes; ++k) sums[0] += sums[k];
  return sums[0];
}

}  // namespace nibble::quantize_loops
