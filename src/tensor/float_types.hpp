#pragma once

#include <bit>
#include <cstdint>

#include "nibble/tensor.hpp"

namespace nibble {

// Scalar conversions between storage types and float. All roundings are to nearest, ties to even, as OpenVINO does.

inline float to_float(float16 value) {
  // Exponent and mantissa are shifted into place, then scaled by 2^112 (a subnormal half becomes a normal float exactly).
  uint32_t sign = (value.bits & 0x8000u) << 16;
  uint32_t magnitude = (value.bits & 0x7fffu) << 13;
  // Infinity and NaN keep the mantissa and get all ones in the exponent. No branch, so that loops over this are vectorized.
  uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
  float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | special | sign);
}

inline float to_float(bfloat16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }

inline float16 to_float16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t half;
  if (magnitude >= 0x47800000u) {  // 65536 and above, infinity, NaN
    half = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 aligns the mantissa so that the FPU does the rounding
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  return {static_cast<uint16_t>(half | sign)};
}

inline bfloat16 to_bfloat16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t quiet = (bits >> 16) | 0x40u, rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return {static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};  // without a branch: loops over this are vectorized
}

/// OCP FP8 E4M3 (fn: no infinity, 0x7f is NaN), E5M2 (IEEE-like), E8M0 (2^(b-127), 0xff is NaN).
float f8e4m3_to_float(uint8_t code);
float f8e5m2_to_float(uint8_t code);
float f8e8m0_to_float(uint8_t code);
/// Through f16 first, as OpenVINO and NNCF do: two roundings.
uint8_t float_to_f8e4m3(float value);
uint8_t float_to_f8e5m2(float value);

float nf4_to_float(uint8_t code);
float f4e2m1_to_float(uint8_t code);
/// Nearest level; a value on a midpoint takes the lower one (OpenVINO's thresholds).
uint8_t float_to_nf4(float value);
/// To nearest even, saturating at 6; the sign of zero is kept.
uint8_t float_to_f4e2m1(float value);

}  // namespace nibble
