#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "device/cpu/kernels/isa.hpp"

namespace nibble::cpu {

enum class Activation : uint8_t { identity, silu, gelu_erf, gelu_tanh, relu, sigmoid, tanh, square_relu, exp };

/// Operations on one row of floats, `count` values. In and out may be the same memory, not otherwise overlap. Results do not depend on the
/// position of a value in memory (tails are computed as full vectors are).
struct RowOps {
  std::string_view name;  ///< "row_ops_avx2"
  /// out = x / sqrt(mean(x^2) + epsilon) * weight; weight may be nullptr (1).
  void (*rms_norm)(const float* x, const float* weight, float epsilon, size_t count, float* out);
  /// out = (x - mean) / sqrt(variance + epsilon) * weight + bias; weight and bias may be nullptr.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon, size_t count, float* out);
  void (*activate)(Activation activation, const float* x, size_t count, float* out);
  /// out = activation(gate) * up
  void (*gated)(Activation activation, const float* gate, const float* up, size_t count, float* out);
  void (*add)(const float* a, const float* b, size_t count, float* out);
  void (*multiply)(const float* a, const float* b, size_t count, float* out);
  /// out = a * x + b
  void (*scale)(const float* x, float a, float b, size_t count, float* out);
  /// out += a * x
  void (*accumulate)(const float* x, float a, size_t count, float* out);
  /// Softmax over the row.
  void (*softmax)(const float* x, size_t count, float* out);
  /// Rotates pairs: halves (i, i + count/2) or neighbours (2i, 2i + 1); cos and sin have count/2 values, one per pair:
  /// first = first * cos - second * sin, second = second * cos + first * sin.
  void (*rotate_halves)(const float* x, const float* cos, const float* sin, size_t count, float* out);
  void (*rotate_pairs)(const float* x, const float* cos, const float* sin, size_t count, float* out);
  /// Conversions to and from storage types, to nearest even.
  void (*f16_to_f32)(const uint16_t* x, size_t count, float* out);
  void (*f32_to_f16)(const float* x, size_t count, uint16_t* out);
  void (*bf16_to_f32)(const uint16_t* x, size_t count, float* out);
  void (*f32_to_bf16)(const float* x, size_t count, uint16_t* out);
};

const RowOps& row_ops(Isa isa);

}  // namespace nibble::cpu
