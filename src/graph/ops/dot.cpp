#include "graph/ops/dot.hpp"

#include <algorithm>
#include <cstring>

#include "base/vector_clones.hpp"

namespace nibble {

namespace {

constexpr size_t kLanes = 8;     // partial sums of a dot product: one AVX register
constexpr size_t kTileRows = 2;  // 2 x 4 partial sums fill half of 16 registers, and hide the latency of an addition
constexpr size_t kTileColumns = 4;

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));  // plain arrays of sums would go through the stack

[[gnu::always_inline]] inline void load(Lanes& lanes, const float* from) { std::memcpy(&lanes, from, sizeof(Lanes)); }

template <size_t Rows, size_t Columns>
[[gnu::always_inline]] inline void multiply_tile(const float* a, const float* b, size_t depth, float* out, size_t out_stride) {
  Lanes sums[Rows][Columns] = {};
  size_t whole = depth / kLanes * kLanes;
  for (size_t k = 0; k < whole; k += kLanes) {
    Lanes left[Rows], right;
    for (size_t r = 0; r < Rows; ++r) load(left[r], a + r * depth + k);
    for (size_t c = 0; c < Columns; ++c) {
      load(right, b + c * depth + k);
      for (size_t r = 0; r < Rows; ++r) sums[r][c] += left[r] * right;
    }
  }
  for (size_t r = 0; r < Rows; ++r)
    for (size_t c = 0; c < Columns; ++c) {
      float sum = 0;
      for (size_t lane = 0; lane < kLanes; ++lane) sum += sums[r][c][lane];
      for (size_t k = whole; k < depth; ++k) sum += a[r * depth + k] * b[c * depth + k];
      out[r * out_stride + c] = sum;
    }
}

template <size_t Rows>
[[gnu::always_inline]] inline void multiply_band(const float* a, const float* b, size_t b_rows, size_t depth, float* out,
                                                 size_t out_stride) {
  size_t c = 0;
  for (; c + kTileColumns <= b_rows; c += kTileColumns) multiply_tile<Rows, kTileColumns>(a, b + c * depth, depth, out + c, out_stride);
  for (; c < b_rows; ++c) multiply_tile<Rows, 1>(a, b + c * depth, depth, out + c, out_stride);
}

}  // namespace

NIBBLE_VECTOR_CLONES
void multiply_rows(const float* a, size_t a_rows, const float* b, size_t b_rows, size_t depth, float* out, size_t out_stride) {
  size_t r = 0;
  for (; r + kTileRows <= a_rows; r += kTileRows)
    multiply_band<kTileRows>(a + r * depth, b, b_rows, depth, out + r * out_stride, out_stride);
  for (; r < a_rows; ++r) multiply_band<1>(a + r * depth, b, b_rows, depth, out + r * out_stride, out_stride);
}

NIBBLE_VECTOR_CLONES
void combine_rows(const float* __restrict weights, const float* __restrict rows, size_t count, size_t width, float* __restrict out) {
  std::fill_n(out, width, 0.0f);
  for (size_t k = 0; k < count; ++k)
    for (size_t d = 0; d < width; ++d) out[d] += weights[k] * rows[k * width + d];
}

}  // namespace nibble
