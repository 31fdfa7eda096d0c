#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/cpu/kernels/float_gemm.hpp"

// What the kernels of all instruction sets share. In an anonymous namespace: every file has its own copy, for its own processor.
namespace nibble::cpu {
namespace {

constexpr size_t minimum(size_t a, size_t b) { return a < b ? a : b; }

/// Columns that share a scale and zero point.
inline size_t columns_per_group(const PackedMatrix& w) {
  bool one_group = w.scale_type == ScaleType::none && !w.zero_points;
  return one_group ? w.padded_columns() : w.group_size;
}

/// Adds bias and what was there to one row of sums of a panel, and writes those that are rows of the weights.
[[gnu::noinline]] inline void write_row(const PackedMatrix& w, const GemmOutput& out, size_t row, size_t panel, const float* sums) {
  size_t first = panel * kPanelRows;
  size_t count = first < w.rows ? minimum(kPanelRows, w.rows - first) : 0;
  float* to = out.data + row * out.stride + first;
  for (size_t i = 0; i < count; ++i) {
    float value = sums[i];
    if (out.bias) value += out.bias[first + i];
    to[i] = out.accumulate ? value + to[i] : value;
  }
}

}  // namespace
}  // namespace nibble::cpu
