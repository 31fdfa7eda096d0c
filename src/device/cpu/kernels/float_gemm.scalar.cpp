#include "device/cpu/kernels/float_gemm_isa.hpp"
#include "device/cpu/kernels/float_gemm_parts.hpp"

namespace nibble::cpu {
namespace {

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float f16_value(uint32_t bits) {
  uint32_t sign = (bits & 0x8000) << 16, exponent = (bits >> 10) & 31, fraction = bits & 0x3ff;
  if (exponent == 31) return from_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
  if (exponent == 0) return from_bits(sign | 0x3f800000) * (static_cast<float>(fraction) * 0x1p-24f);
  return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

template <class T>
T read(const std::byte* from, size_t index) {
  T value;
  std::memcpy(&value, from + index * sizeof(T), sizeof(T));
  return value;
}

/// The byte of weight (lane, column) of a panel whose chunks have vectors of 4 columns, or, for 4 bits, of twice 4 columns.
uint32_t byte_of(const std::byte* panel, size_t lane, size_t vector, size_t column) {
  return read<uint8_t>(panel, 64 * vector + 4 * lane + column % 4);
}

uint32_t nibble_of(const std::byte* panel, size_t lane, size_t column) {
  return byte_of(panel, lane, column / 8, column) >> (column % 8 / 4 * 4) & 15;
}

/// What the code of (lane, column) of a panel stands for, before zero point and scale.
float value_of(const PackedMatrix& w, const std::byte* panel, size_t lane, size_t k) {
  switch (w.code_type) {
    case CodeType::u4: return static_cast<float>(nibble_of(panel, lane, k));
    case CodeType::level4: return w.levels[nibble_of(panel, lane, k)];
    case CodeType::u8: return static_cast<float>(byte_of(panel, lane, k / 4, k));
    case CodeType::f8e4m3: {
      uint32_t bits = byte_of(panel, lane, k / 4, k);
      return f16_value((bits & 0x80) << 8 | (bits & 0x7f) << 7) * 256.0f;
    }
    case CodeType::f16: return f16_value(read<uint16_t>(panel, k * kPanelRows + lane));
    case CodeType::bf16: return from_bits(uint32_t{read<uint16_t>(panel, k / 2 * 2 * kPanelRows + 2 * lane + k % 2)} << 16);
    case CodeType::f32: return read<float>(panel, k * kPanelRows + lane);
  }
  return 0;
}

float zero_point_of(const PackedMatrix& w, size_t index) {
  if (w.code_type != CodeType::u4 && w.code_type != CodeType::u8) return 0;
  return static_cast<float>(w.zero_points ? w.zero_points[index] : w.zero_point);
}

float scale_of(const PackedMatrix& w, size_t index) {
  switch (w.scale_type) {
    case ScaleType::none: return 1;
    case ScaleType::f16: return f16_value(read<uint16_t>(w.scales, index));
    case ScaleType::f32: return read<float>(w.scales, index);
  }
  return 0;
}

float product(const PackedMatrix& w, const float* x, size_t panel, size_t lane) {
  size_t columns = w.padded_columns(), group = columns_per_group(w), groups = (columns + group - 1) / group;
  const std::byte* codes = w.codes + panel * w.panel_bytes();
  float y = 0;
  for (size_t g = 0; g < groups; ++g) {
    size_t index = (panel * groups + g) * kPanelRows + lane;
    float t = 0, zero_point = zero_point_of(w, index);
    for (size_t k = g * group; k < minimum(columns, (g + 1) * group); ++k)
      t = __builtin_fmaf(x[k], value_of(w, codes, lane, k) - zero_point, t);
    y = __builtin_fmaf(t, scale_of(w, index), y);
  }
  return y;
}

void multiply(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  for (size_t row = rows.begin; row < rows.end; ++row)
    for (size_t panel = panels.begin; panel < panels.end; ++panel) {
      float sums[kPanelRows];
      for (size_t lane = 0; lane < kPanelRows; ++lane) sums[lane] = product(w, x + row * x_stride, panel, lane);
      write_row(w, out, row, panel, sums);
    }
}

}  // namespace

const FloatGemm& float_gemm_scalar(CodeType type) {
  static constexpr FloatGemm kernels[] = {
      {"gemm_f32_u4_scalar", multiply},     {"gemm_f32_u8_scalar", multiply},  {"gemm_f32_level4_scalar", multiply},
      {"gemm_f32_f8e4m3_scalar", multiply}, {"gemm_f32_f16_scalar", multiply}, {"gemm_f32_bf16_scalar", multiply},
      {"gemm_f32_f32_scalar", multiply},
  };
  return kernels[static_cast<size_t>(type)];
}

}  // namespace nibble::cpu
