#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace nibble {

/// The inner loops of weight compression for one instruction set. `weights` holds `groups` groups of `size` floats one after
/// the other; `scales` and `zero_points` have one entry per group, `codes` one byte per weight. Stateless; they allocate
/// nothing. All sets give equal bytes: the arithmetic is IEEE single precision in a fixed order, rounding to nearest even.
struct QuantizeKernels {
  std::string_view isa;
  /// f16 and bf16 bit patterns to f32; `packed` may be unaligned.
  void (*widen_f16)(const std::byte* packed, size_t count, float* out);
  void (*widen_bf16)(const std::byte* packed, size_t count, float* out);
  /// Integer codes with a zero point: 0 .. levels, `levels` = 2^bits - 1. The range always includes 0.
  void (*asymmetric)(const float* weights, size_t groups, size_t size, float levels, uint8_t* codes, float* scales, uint8_t* zero_points);
  /// Integer codes -half .. half - 1 as the low bits of two's complement; the scale is negative where the largest magnitude
  /// is positive, so that it maps to -half exactly.
  void (*symmetric)(const float* weights, size_t groups, size_t size, float half, uint8_t* codes, float* scales);
  /// The same codes for given scales and zero points.
  void (*encode_asymmetric)(const float* weights, size_t groups, size_t size, float levels, const float* scales, const uint8_t* zero_points,
                            uint8_t* codes);
  void (*encode_symmetric)(const float* weights, size_t groups, size_t size, float half, const float* scales, uint8_t* codes);
  /// How many of `count` weights are infinite or not a number.
  size_t (*count_not_finite)(const float* weights, size_t count);
  void (*largest_magnitude)(const float* weights, size_t groups, size_t size, float* out);
  /// Codes of weight / scale in f4e2m1, in f8e4m3 (through f16) and in a table of at most 256 ascending levels, given by
  /// the thresholds between them: the code is the number of thresholds below.
  void (*f4e2m1)(const float* weights, size_t groups, size_t size, const float* scales, uint8_t* codes);
  void (*f8e4m3)(const float* weights, size_t groups, size_t size, const float* scales, uint8_t* codes);
  void (*levels)(const float* weights, size_t groups, size_t size, const float* scales, const float* thresholds, size_t threshold_count,
                 uint8_t* codes);
  /// Two codes per byte, the first in the low half; `count` is even.
  void (*pack_nibbles)(const uint8_t* codes, size_t count, std::byte* out);
  /// Sum over a group of ((code - zero_point) * scale - weight)^2.
  double (*asymmetric_error)(const float* weights, const uint8_t* codes, size_t size, float scale, uint8_t zero_point);
};

/// Plain code: the specification of the others.
const QuantizeKernels& scalar_quantize_kernels();
/// The sets that this machine can run, slowest (scalar) first.
std::span<const QuantizeKernels* const> available_quantize_kernels();
/// The fastest of them.
const QuantizeKernels& quantize_kernels();

}  // namespace nibble
