#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "device/cpu/kernels/quantized_gemm.hpp"

namespace nibble::cpu {
inline namespace quantized_gemm_tests {

/// What a matrix of weights is made of, in the order of rows and columns; `pack` puts it in the kernels' layout.
struct WeightSpec {
  CodeType type = CodeType::u4;
  size_t rows = 16, columns = 32;
  size_t group_size = 32;
  ScaleType scale_type = ScaleType::f16;
  bool zero_points = false;  ///< one for each group instead of `zero_point`
  int zero_point = 8;

  int max_code() const { return type == CodeType::u4 ? 15 : 255; }
  size_t padded() const { return (columns + 31) / 32 * 32; }
  size_t groups() const { return (padded() + group_size - 1) / group_size; }
};

struct TestWeights {
  WeightSpec spec;
  std::vector<uint8_t> codes;  ///< [rows][columns]
  std::vector<float> scales;   ///< [rows][groups]; float16 values for ScaleType::f16
  std::vector<uint8_t> zero_points;

  explicit TestWeights(const WeightSpec& s, uint32_t seed = 1) : spec(s) {
    std::mt19937 random(seed);
    codes.resize(s.rows * s.columns), scales.resize(s.rows * s.groups()), zero_points.resize(scales.size());
    for (auto& code : codes) code = static_cast<uint8_t>(random() % static_cast<unsigned>(s.max_code() + 1));
    for (auto& z : zero_points) z = static_cast<uint8_t>(random() % static_cast<unsigned>(s.max_code() + 1));
    for (auto& scale : scales) scale = static_cast<float>(static_cast<int>(random() % 2047) - 1023) / 4096;  // exact in float16
  }
  int zero_point(size_t row, size_t group) const { return spec.zero_points ? zero_points[row * spec.groups() + group] : spec.zero_point; }
};

/// Of a normal float16 value or 0.
inline uint16_t half_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t magnitude = bits & 0x7fffffff;
  return static_cast<uint16_t>(bits >> 16 & 0x8000) | static_cast<uint16_t>(magnitude ? (magnitude >> 13) - (112 << 10) : 0);
}

/// The layout that packed_matrix.hpp describes, value by value.
class Packed {
 public:
  explicit Packed(const TestWeights& w) : spec_(w.spec) {
    const WeightSpec& s = spec_;
    panels_ = (s.rows + 15) / 16;
    codes_.resize(panels_ * 16 * s.padded() * (s.type == CodeType::u4 ? 4 : 8) / 8 + 64);
    scales_.resize(panels_ * s.groups() * 16 * (s.scale_type == ScaleType::f32 ? 4 : 2));
    zero_points_.resize(panels_ * s.groups() * 16);
    start_ = (64 - reinterpret_cast<uintptr_t>(codes_.data()) % 64) % 64;
    for (size_t n = 0; n < s.rows; ++n) {
      for (size_t k = 0; k < s.columns; ++k) place(n, k, w.codes[n * s.columns + k]);
      for (size_t g = 0; g < s.groups(); ++g) place_group(n, g, w.scales[n * s.groups() + g], w.zero_points[n * s.groups() + g]);
    }
  }
  PackedMatrix matrix() const {
    PackedMatrix m;
    m.code_type = spec_.type, m.scale_type = spec_.scale_type, m.rows = spec_.rows, m.columns = spec_.columns;
    m.group_size = spec_.group_size, m.codes = codes_.data() + start_, m.scales = scales_.data();
    m.zero_points = spec_.zero_points ? zero_points_.data() : nullptr, m.zero_point = spec_.zero_points ? 99 : spec_.zero_point;
    return m;
  }

 private:
  void place(size_t n, size_t k, uint8_t code) {
    const size_t chunk = (n / 16 * (spec_.padded() / 32) + k / 32), row = n % 16, column = k % 32;
    std::byte* codes = codes_.data() + start_;
    if (spec_.type == CodeType::u4)
      codes[chunk * 256 + column / 8 * 64 + 4 * row + column % 4] |= std::byte(column % 8 < 4 ? code : code << 4);
    else
      codes[chunk * 512 + column / 4 * 64 + 4 * row + column % 4] = std::byte(code);
  }
  void place_group(size_t n, size_t g, float scale, uint8_t zero_point) {
    const size_t index = (n / 16 * spec_.groups() + g) * 16 + n % 16;
    const uint16_t half = half_bits(scale);
    if (spec_.scale_type == ScaleType::f32)
      std::memcpy(&scales_[index * 4], &scale, 4);
    else if (spec_.scale_type == ScaleType::f16)
      std::memcpy(&scales_[index * 2], &half, 2);
    zero_points_[index] = zero_point;
  }

  WeightSpec spec_;
  size_t panels_, start_;
  std::vector<std::byte> codes_, scales_;
  std::vector<uint8_t> zero_points_;
};

/// Quantized rows with random codes and scales.
struct TestRows {
  size_t count, columns, chunks, stride;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  mutable std::vector<ChunkTerms> folded;

  TestRows(size_t rows, size_t row_columns, uint32_t seed = 2)
      : count(rows), columns(row_columns), chunks((columns + 31) / 32), stride((columns + 63) / 64 * 64) {
    std::mt19937 random(seed);
    codes.resize(count * stride, 77);  // what follows the padded columns is never read
    scales.resize(count * chunks), sums.resize(count * chunks);
    for (size_t m = 0; m < count; ++m)
      for (size_t k = 0; k < chunks * 32; ++k)
        codes[m * stride + k] = k < columns ? static_cast<int8_t>(static_cast<int>(random() % 255) - 127) : int8_t{0};
    for (float& scale : scales) scale = static_cast<float>(random() % 10000) * 1.7e-6f;
    add_up();
  }
  /// After a change of codes.
  void add_up() {
    for (size_t m = 0; m < count; ++m)
      for (size_t c = 0; c < chunks; ++c) {
        int32_t sum = 0;
        for (size_t k = 0; k < 32; ++k) sum += codes[m * stride + c * 32 + k];
        sums[m * chunks + c] = sum;
      }
  }
  /// To be multiplied with w. Lives until the next call.
  QuantizedRows rows(const PackedMatrix& w) const {
    folded.clear();
    for (size_t i = 0; i < sums.size(); ++i) folded.push_back({scales[i], static_cast<float>(sums[i])});
    fold_zero_points(w, folded.data(), count);
    return {count, stride, chunks, codes.data(), folded.data()};
  }
};

/// What QuantizedGemm documents, for row m of x and weight row n.
inline float expected_product(const TestWeights& w, const TestRows& x, size_t n, size_t m) {
  const WeightSpec& s = w.spec;
  float y = 0;
  for (size_t g = 0; g < s.groups(); ++g) {
    const size_t begin = g * s.group_size / 32, end = std::min((g + 1) * s.group_size / 32, x.chunks);
    float group_sum = 0;
    for (size_t c = begin; c < end; ++c)
      group_sum = std::fma(static_cast<float>(x.sums[m * x.chunks + c]), x.scales[m * x.chunks + c], group_sum);
    float t = group_sum * static_cast<float>(-w.zero_point(n, g));
    for (size_t c = begin; c < end; ++c) {
      int64_t sum = 0;
      for (size_t k = c * 32; k < c * 32 + 32 && k < s.columns; ++k)
        sum += w.codes[n * s.columns + k] * static_cast<int64_t>(x.codes[m * x.stride + k]);
      t = std::fma(static_cast<float>(sum), x.scales[m * x.chunks + c], t);
    }
    y = std::fma(t, s.scale_type == ScaleType::none ? 1.0f : w.scales[n * s.groups() + g], y);
  }
  return y;
}

}  // namespace quantized_gemm_tests
}  // namespace nibble::cpu
