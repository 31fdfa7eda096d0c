#include "device/cpu/kernels/float_gemm_isa.hpp"
#include "device/cpu/kernels/float_gemm_parts.hpp"

namespace nibble::cpu {
namespace {

// The arithmetic of VDPBF16PS and VCVTNEPS2BF16: Intel's Software Developer's Manual, volume 2, agreed to by the processors measured.

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

bool is_denormal_or_zero(uint32_t bits) { return (bits & 0x7f800000) == 0; }

float flush(float value) {
  uint32_t bits = bits_of(value);
  return is_denormal_or_zero(bits) ? from_bits(bits & 0x80000000) : value;
}

uint16_t round_to_bf16(float value) {
  uint32_t bits = bits_of(value), top = bits >> 16;
  if (is_denormal_or_zero(bits)) return static_cast<uint16_t>(top & 0x8000);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(top | 0x40);  // a quiet NaN
  return static_cast<uint16_t>((bits + 0x7fff + (top & 1)) >> 16);
}

void round(const float* x, size_t columns, uint16_t* out) {
  for (size_t k = 0; k < columns; ++k) out[k] = round_to_bf16(x[k]);
  for (size_t k = columns; k % kChunk; ++k) out[k] = 0;
}

float multiply_add(uint16_t a, uint16_t b, float c) {
  return flush(__builtin_fmaf(flush(from_bits(uint32_t{a} << 16)), flush(from_bits(uint32_t{b} << 16)), c));
}

float product(const uint16_t* x, const uint16_t* pairs, size_t columns) {
  float y = 0;
  for (size_t k = 0; k < columns; k += 2, pairs += 2 * kPanelRows) {
    y = multiply_add(x[k + 1], pairs[1], y);
    y = multiply_add(x[k], pairs[0], y);
  }
  return y;
}

void multiply(const PackedMatrix& w, const uint16_t* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  for (size_t row = rows.begin; row < rows.end; ++row)
    for (size_t panel = panels.begin; panel < panels.end; ++panel) {
      auto pairs = reinterpret_cast<const uint16_t*>(w.codes + panel * w.panel_bytes());
      float sums[kPanelRows];
      for (size_t lane = 0; lane < kPanelRows; ++lane) sums[lane] = product(x + row * x_stride, pairs + 2 * lane, w.padded_columns());
      write_row(w, out, row, panel, sums);
    }
}

}  // namespace

const Bf16Gemm& bf16_gemm_scalar() {
  static constexpr Bf16Gemm kernel{"gemm_bf16_bf16_scalar", round, multiply};
  return kernel;
}

}  // namespace nibble::cpu
