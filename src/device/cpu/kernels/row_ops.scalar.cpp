#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/cpu/kernels/row_ops_constants.hpp"
#include "device/cpu/kernels/row_ops_tables.hpp"

// The specification: the vector kernels give the same bits (of a NaN, only that it is one).

namespace nibble::cpu {

namespace {

uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

float absolute(float x) { return float_of(bits_of(x) & 0x7fffffffu); }
float with_sign_of(float magnitude, float x) { return float_of(bits_of(magnitude) | (bits_of(x) & 0x80000000u)); }
// The second operand where one is NaN, as the vector instructions do.
float lesser(float a, float b) { return a < b ? a : b; }
float greater(float a, float b) { return a > b ? a : b; }

/// expm1(x - n ln 2) with n = round(x / ln 2); `shifted` keeps n in its low bits.
float reduced_expm1(float x, float& shifted) {
  shifted = __builtin_fmaf(x, kLog2E, kRoundingShift);
  float n = shifted - kRoundingShift;
  float r = __builtin_fmaf(-n, kLn2Low, __builtin_fmaf(-n, kLn2High, x));
  float q = kExpQ[4];
  for (int k = 3; k >= 0; --k) q = __builtin_fmaf(q, r, kExpQ[k]);
  return __builtin_fmaf(r * r, q, r);
}

/// x 2^n, rounded once: 2^n may be beyond the range of float, its halves are not.
float times_power(float x, float shifted) {
  int32_t n = static_cast<int32_t>(bits_of(shifted) - bits_of(kRoundingShift));
  int32_t half = n >> 1;
  auto power = [](int32_t exponent) { return float_of(static_cast<uint32_t>(exponent + 127) << 23); };
  return x * power(half) * power(n - half);
}

float exponential(float x) {
  float shifted;
  float p = reduced_expm1(lesser(kExpHighest, greater(kExpLowest, x)), shifted);
  return times_power(1.0f + p, shifted);
}

/// expm1(2 |x|) / (expm1(2 |x|) + 2), which loses nothing near 0.
float hyperbolic_tangent(float x) {
  float shifted;
  float p = reduced_expm1(lesser(kTanhHighest, 2.0f * absolute(x)), shifted);
  float power = times_power(1.0f, shifted);
  float expm1 = __builtin_fmaf(p, power, power - 1.0f);
  return with_sign_of(expm1 / (expm1 + 2.0f), x);
}

float error_function(float x) {
  float a = lesser(kErfHighest, absolute(x)), square = a * a;
  float p = kErfP[5], q = kErfQ[5];
  for (int k = 4; k >= 0; --k) {
    p = __builtin_fmaf(p, square, kErfP[k]);
    q = __builtin_fmaf(q, square, kErfQ[k]);
  }
  return with_sign_of(lesser(1.0f, a * p / q), x);
}

/// x / (1 + exp(-slope x)): silu, and gelu_tanh with another slope.
float swish(float x, float slope) { return x / (1.0f + exponential(-(x * slope))); }

float activated(Activation activation, float x) {
  switch (activation) {
    case Activation::identity: return x;
    case Activation::silu: return swish(x, 1.0f);
    case Activation::gelu_erf: return 0.5f * x * (1.0f + error_function(x * kSqrtHalf));
    case Activation::gelu_tanh: return swish(x, kGeluLinear + kGeluCubic * (x * x));
    case Activation::relu: return greater(0.0f, x);
    case Activation::sigmoid: return 1.0f / (1.0f + exponential(-x));
    case Activation::tanh: return hyperbolic_tangent(x);
    case Activation::square_relu: return greater(0.0f, x) * greater(0.0f, x);
    case Activation::exp: return exponential(x);
  }
  return x;
}

/// Sum of term(i), in the order that every instruction set keeps.
template <class Term>
float sum(size_t count, Term term) {
  float parts[kSumParts] = {};
  for (size_t i = 0; i < count; ++i) parts[i % kSumParts] += term(i);
  for (size_t width = kSumParts / 2; width > 0; width /= 2)
    for (size_t k = 0; k < width; ++k) parts[k] += parts[k + width];
  return parts[0];
}

float reciprocal_deviation(float squares, size_t count, float epsilon) {
  return 1.0f / __builtin_sqrtf(squares / static_cast<float>(count) + epsilon);
}

void rms_norm(const float* x, const float* weight, float epsilon, size_t count, float* out) {
  float scale = reciprocal_deviation(sum(count, [&](size_t i) { return x[i] * x[i]; }), count, epsilon);
  for (size_t i = 0; i < count; ++i) out[i] = weight ? x[i] * scale * weight[i] : x[i] * scale;
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, size_t count, float* out) {
  float mean = sum(count, [&](size_t i) { return x[i]; }) / static_cast<float>(count);
  float scale = reciprocal_deviation(sum(count, [&](size_t i) { return (x[i] - mean) * (x[i] - mean); }), count, epsilon);
  for (size_t i = 0; i < count; ++i) {
    out[i] = (x[i] - mean) * scale;
    if (weight) out[i] *= weight[i];
    if (bias) out[i] += bias[i];
  }
}

void activate(Activation activation, const float* x, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = activated(activation, x[i]);
}

void gated(Activation activation, const float* gate, const float* up, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = activated(activation, gate[i]) * up[i];
}

void add(const float* a, const float* b, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
}

void multiply(const float* a, const float* b, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = a[i] * b[i];
}

void scale(const float* x, float a, float b, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = a * x[i] + b;
}

void accumulate(const float* x, float a, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] += a * x[i];
}

void softmax(const float* x, size_t count, float* out) {
  float highest = -__builtin_inff();
  for (size_t i = 0; i < count; ++i) highest = greater(highest, x[i]);
  float total = sum(count, [&](size_t i) { return out[i] = exponential(x[i] - highest); });
  float scale = 1.0f / total;
  for (size_t i = 0; i < count; ++i) out[i] *= scale;
}

void rotate(const float* x, float cos, float sin, size_t first, size_t second, float* out) {
  float a = x[first], b = x[second];
  out[first] = a * cos - b * sin;
  out[second] = b * cos + a * sin;
}

void rotate_halves(const float* x, const float* cos, const float* sin, size_t count, float* out) {
  for (size_t i = 0; i < count / 2; ++i) rotate(x, cos[i], sin[i], i, count / 2 + i, out);
}

void rotate_pairs(const float* x, const float* cos, const float* sin, size_t count, float* out) {
  for (size_t i = 0; i < count / 2; ++i) rotate(x, cos[i], sin[i], 2 * i, 2 * i + 1, out);
}

/// A subnormal half becomes a normal float exactly when its bits, shifted into place, are scaled by 2^112.
float widened_f16(uint16_t half) {
  uint32_t magnitude = (half & 0x7fffu) << 13, sign = (half & 0x8000u) << 16;
  bool special = magnitude >= 0x0f800000u;  // infinity or NaN
  return float_of(sign | (special ? magnitude | 0x7f800000u : bits_of(float_of(magnitude) * 0x1p112f)));
}

uint16_t rounded_f16(float x) {
  uint32_t sign = (bits_of(x) >> 16) & 0x8000u, magnitude = bits_of(x) & 0x7fffffffu, half;
  if (magnitude >= 0x47800000u)  // 65536 and above, infinity, NaN
    half = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  else if (magnitude < 0x38800000u)  // below 2^-14: adding 0.5 aligns the mantissa so that the addition does the rounding
    half = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
  else
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  return static_cast<uint16_t>(half | sign);
}

uint16_t rounded_bf16(float x) {
  uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

void f16_to_f32(const uint16_t* x, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = widened_f16(x[i]);
}

void f32_to_f16(const float* x, size_t count, uint16_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = rounded_f16(x[i]);
}

void bf16_to_f32(const uint16_t* x, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = float_of(static_cast<uint32_t>(x[i]) << 16);
}

void f32_to_bf16(const float* x, size_t count, uint16_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = rounded_bf16(x[i]);
}

}  // namespace

constexpr RowOps row_ops_scalar{"row_ops_scalar", rms_norm, layer_norm,    activate,     gated,      add,        multiply,    scale,
                                accumulate,       softmax,  rotate_halves, rotate_pairs, f16_to_f32, f32_to_f16, bf16_to_f32, f32_to_bf16};

}  // namespace nibble::cpu
