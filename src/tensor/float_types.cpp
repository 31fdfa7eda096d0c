#include "tensor/float_types.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace nibble {

namespace {

constexpr std::array<float, 16> kNf4Levels{-1.0f,
                                           -0.6961928009986877f,
                                           -0.5250730514526367f,
                                           -0.39491748809814453f,
                                           -0.28444138169288635f,
                                           -0.18477343022823334f,
                                           -0.09105003625154495f,
                                           0.0f,
                                           0.07958029955625534f,
                                           0.16093020141124725f,
                                           0.24611230194568634f,
                                           0.33791524171829224f,
                                           0.44070982933044434f,
                                           0.5626170039176941f,
                                           0.7229568362236023f,
                                           1.0f};
constexpr std::array<float, 15> kNf4Thresholds{-0.8480964004993439f,  -0.6106329262256622f,  -0.4599952697753906f,   -0.33967943489551544f,
                                               -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f,
                                               0.1202552504837513f,   0.2035212516784668f,   0.2920137718319893f,    0.3893125355243683f,
                                               0.5016634166240692f,   0.6427869200706482f,   0.8614784181118011f};
constexpr std::array<float, 8> kF4Levels{0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};

/// Rounds a half to `mantissa` bits and exponent bias `bias`, to nearest even, subnormals included; no overflow handling.
uint32_t round_half(uint16_t magnitude, int mantissa, int bias) {
  float value = to_float(float16{magnitude});
  if (value == 0.0f) return 0;
  int exponent = std::max(std::ilogb(value), 1 - bias);
  float quantum = std::ldexp(1.0f, exponent - mantissa);
  auto steps = static_cast<uint32_t>(std::nearbyint(value / quantum));
  // A carry out of the mantissa flows into the exponent field, as it should.
  return (static_cast<uint32_t>(exponent + bias - 1) << mantissa) + steps;
}

}  // namespace

float f8e4m3_to_float(uint8_t code) {
  int exponent = (code >> 3) & 15, mantissa = code & 7;
  float magnitude;
  if ((code & 0x7f) == 0x7f)
    magnitude = std::numeric_limits<float>::quiet_NaN();
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(mantissa), -9);
  else
    magnitude = std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return code & 0x80 ? -magnitude : magnitude;
}

float f8e5m2_to_float(uint8_t code) { return to_float(float16{static_cast<uint16_t>(code << 8)}); }

float f8e8m0_to_float(uint8_t code) {
  return code == 0xff ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, static_cast<int>(code) - 127);
}

uint8_t float_to_f8e4m3(float value) {
  float16 half = to_float16(value);
  auto sign = static_cast<uint8_t>((half.bits >> 8) & 0x80);
  uint16_t magnitude = half.bits & 0x7fff;
  if (magnitude >= 0x7c00) return sign | 0x7f;
  return sign | static_cast<uint8_t>(std::min<uint32_t>(round_half(magnitude, 3, 7), 0x7f));
}

uint8_t float_to_f8e5m2(float value) {
  float16 half = to_float16(value);
  auto sign = static_cast<uint8_t>((half.bits >> 8) & 0x80);
  uint16_t magnitude = half.bits & 0x7fff;
  if (magnitude > 0x7c00) return sign | 0x7f;
  if (magnitude == 0x7c00) return sign | 0x7c;
  return sign | static_cast<uint8_t>(std::min<uint32_t>(round_half(magnitude, 2, 15), 0x7c));
}

float nf4_to_float(uint8_t code) { return kNf4Levels[code & 15]; }

float f4e2m1_to_float(uint8_t code) { return code & 8 ? -kF4Levels[code & 7] : kF4Levels[code & 7]; }

uint8_t float_to_nf4(float value) {
  return static_cast<uint8_t>(std::lower_bound(kNf4Thresholds.begin(), kNf4Thresholds.end(), value) - kNf4Thresholds.begin());
}

uint8_t float_to_f4e2m1(float value) {
  float x = std::fabs(value);
  uint8_t code = x <= 0.25f ? 0 : x < 0.75f ? 1 : x <= 1.25f ? 2 : x < 1.75f ? 3 : x <= 2.5f ? 4 : x < 3.5f ? 5 : x <= 5.0f ? 6 : 7;
  return std::signbit(value) ? code | 8 : code;
}

}  // namespace nibble
