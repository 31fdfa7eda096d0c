#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "device/cpu/kernels/packed_matrix.hpp"

namespace nibble::cpu {
inline namespace float_gemm_tests {

/// Memory aligned to 64 bytes, exactly as long as asked: what a kernel reads beyond it AddressSanitizer sees.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : data_(static_cast<std::byte*>(::operator new(bytes, kAlignment))) {
    std::memset(data_.get(), 0, bytes);
  }
  std::byte* data() const { return data_.get(); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Delete {
    void operator()(std::byte* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<std::byte, Delete> data_;
};

inline float float_of_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// The value of a small float with a sign, `exponent` and `fraction` bits, from its definition.
inline float small_float(uint32_t bits, int exponent_bits, int fraction_bits, bool has_infinity) {
  int exponent = static_cast<int>(bits >> fraction_bits) & ((1 << exponent_bits) - 1), bias = (1 << (exponent_bits - 1)) - 1;
  auto fraction = static_cast<float>(bits & ((1u << fraction_bits) - 1)) / static_cast<float>(1 << fraction_bits);
  float value = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  if (has_infinity && exponent == (1 << exponent_bits) - 1) value = fraction == 0 ? INFINITY : NAN;
  return bits >> (exponent_bits + fraction_bits) & 1 ? -value : value;
}

inline float f16_of_bits(uint32_t bits) { return small_float(bits, 5, 10, true); }

/// A matrix of codes with its scales and zero points as in a model, row by row, and the packed form of it.
struct CodeMatrix {
  CodeType type = CodeType::f32;
  ScaleType scale_type = ScaleType::none;
  size_t rows = 0, columns = 0, group_size = 0;
  bool zero_point_per_group = false;
  int zero_point = 0;
  std::vector<uint32_t> codes = {};       ///< [rows][columns]
  std::vector<uint32_t> scales = {};      ///< [rows][groups]: bits
  std::vector<uint8_t> zero_points = {};  ///< [rows][groups]
  std::vector<float> levels = std::vector<float>(16);

  size_t padded() const { return (columns + 31) / 32 * 32; }
  size_t group() const { return group_size ? group_size : padded(); }
  size_t groups() const { return (padded() + group() - 1) / group(); }
  bool is_integer() const { return type == CodeType::u4 || type == CodeType::u8; }

  float value(size_t row, size_t column) const {
    uint32_t code = codes[row * columns + column];
    switch (type) {
      case CodeType::u4:
      case CodeType::u8: return static_cast<float>(code);
      case CodeType::level4: return levels[code];
      case CodeType::f8e4m3: return small_float(code, 4, 3, false);
      case CodeType::f16: return f16_of_bits(code);
      case CodeType::bf16: return float_of_bits(code << 16);
      case CodeType::f32: return float_of_bits(code);
    }
    return 0;
  }
  float zero_point_of(size_t row, size_t g) const {
    if (!is_integer()) return 0;
    return static_cast<float>(zero_point_per_group ? zero_points[row * groups() + g] : zero_point);
  }
  float scale_of(size_t row, size_t g) const {
    if (scale_type == ScaleType::none) return 1;
    uint32_t bits = scales[row * groups() + g];
    return scale_type == ScaleType::f16 ? f16_of_bits(bits) : float_of_bits(bits);
  }
};

/// The packed form of a matrix, one code after the other, from the description of PackedMatrix.
class Packed {
 public:
  explicit Packed(const CodeMatrix& m)
      : view_{.code_type = m.type, .scale_type = m.scale_type, .rows = m.rows, .columns = m.columns, .group_size = m.group()},
        codes_(view_.panels() * view_.panel_bytes()),
        scales_(view_.panels() * m.groups() * 16 * 4),
        zero_points_(view_.panels() * m.groups() * 16),
        levels_(m.levels) {
    for (size_t row = 0; row < m.rows; ++row) {
      for (size_t k = 0; k < m.columns; ++k) put_code(row / 16, row % 16, k, m.codes[row * m.columns + k]);
      for (size_t g = 0; g < m.groups(); ++g) put_group(m, row, g);
    }
    view_.codes = codes_.data();
    view_.scales = scales_.data();
    view_.zero_points = m.zero_point_per_group ? zero_points_.as<uint8_t>() : nullptr;
    view_.zero_point = m.zero_point;
    view_.levels = levels_.data();
  }
  const PackedMatrix& view() const { return view_; }

 private:
  void put_code(size_t panel, size_t r, size_t k, uint32_t code) {
    std::byte* to = codes_.data() + panel * view_.panel_bytes();
    switch (view_.code_bits()) {
      case 4: to[k / 8 * 64 + 4 * r + k % 4] |= static_cast<std::byte>(k % 8 < 4 ? code : code << 4); break;
      case 8: to[k / 4 * 64 + 4 * r + k % 4] = static_cast<std::byte>(code); break;
      case 16: {
        size_t index = view_.code_type == CodeType::bf16 ? k / 2 * 32 + 2 * r + k % 2 : k * 16 + r;
        reinterpret_cast<uint16_t*>(to)[index] = static_cast<uint16_t>(code);
        break;
      }
      default: reinterpret_cast<uint32_t*>(to)[k * 16 + r] = code;
    }
  }
  void put_group(const CodeMatrix& m, size_t row, size_t g) {
    size_t from = row * m.groups() + g, to = (row / 16 * m.groups() + g) * 16 + row % 16;
    if (m.zero_point_per_group) zero_points_.as<uint8_t>()[to] = m.zero_points[from];
    if (m.scale_type == ScaleType::f16) scales_.as<uint16_t>()[to] = static_cast<uint16_t>(m.scales[from]);
    if (m.scale_type == ScaleType::f32) scales_.as<uint32_t>()[to] = m.scales[from];
  }

  PackedMatrix view_;
  AlignedBytes codes_, scales_, zero_points_;
  std::vector<float> levels_;
};

/// "same bits, or both not a number"
inline bool same_number(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b)); }

}  // namespace float_gemm_tests
}  // namespace nibble::cpu
