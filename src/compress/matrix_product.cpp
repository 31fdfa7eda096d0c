#include "compress/matrix_product.hpp"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nibble {

namespace {

constexpr size_t kDepth = 256;         // of a panel
constexpr size_t kBlockRows = 240;     // a panel of the left matrix takes 240 KB of the second-level cache
constexpr size_t kBlockColumns = 512;  // one of the right matrix twice that

/// The innermost product: `depth` columns of `rows` floats times as many rows of `columns` floats.
struct TileProduct {
  size_t rows, columns;
  void (*run)(size_t depth, const float* a, const float* b, float* out);
};

void run_plain(size_t depth, const float* a, const float* b, float* out) {
  constexpr size_t kRows = 4, kColumns = 8;
  float sums[kRows][kColumns] = {};
  for (size_t k = 0; k < depth; ++k)
    for (size_t i = 0; i < kRows; ++i)
      for (size_t j = 0; j < kColumns; ++j) sums[i][j] += a[k * kRows + i] * b[k * kColumns + j];
  std::copy_n(&sums[0][0], kRows * kColumns, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void run_avx2(size_t depth, const float* a, const float* b, float* out) {
  constexpr size_t kRows = 6;  // 12 sums, 2 vectors of the right matrix and one of the left in 16 registers
  __m256 sums[kRows][2];
#pragma GCC unroll 6
  for (size_t i = 0; i < kRows; ++i) sums[i][0] = sums[i][1] = _mm256_setzero_ps();
  for (size_t k = 0; k < depth; ++k, a += kRows, b += 16) {
    __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (size_t i = 0; i < kRows; ++i) {
      __m256 left = _mm256_broadcast_ss(a + i);
      sums[i][0] = _mm256_fmadd_ps(left, b0, sums[i][0]);
      sums[i][1] = _mm256_fmadd_ps(left, b1, sums[i][1]);
    }
  }
#pragma GCC unroll 6
  for (size_t i = 0; i < kRows; ++i) {
    _mm256_storeu_ps(out + 16 * i, sums[i][0]);
    _mm256_storeu_ps(out + 16 * i + 8, sums[i][1]);
  }
}

__attribute__((target("avx512f"))) void run_avx512(size_t depth, const float* a, const float* b, float* out) {
  constexpr size_t kRows = 12;  // 24 sums in 32 registers
  __m512 sums[kRows][2];
#pragma GCC unroll 12
  for (size_t i = 0; i < kRows; ++i) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
  for (size_t k = 0; k < depth; ++k, a += kRows, b += 32) {
    __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 12
    for (size_t i = 0; i < kRows; ++i) {
      __m512 left = _mm512_set1_ps(a[i]);
      sums[i][0] = _mm512_fmadd_ps(left, b0, sums[i][0]);
      sums[i][1] = _mm512_fmadd_ps(left, b1, sums[i][1]);
    }
  }
#pragma GCC unroll 12
  for (size_t i = 0; i < kRows; ++i) {
    _mm512_storeu_ps(out + 32 * i, sums[i][0]);
    _mm512_storeu_ps(out + 32 * i + 16, sums[i][1]);
  }
}
#endif

TileProduct choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {12, 32, run_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {6, 16, run_avx2};
#endif
  return {4, 8, run_plain};
}

size_t rounded_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

/// Rows [first, first + count) and columns [depth_begin, depth_end) of `m` as strips of `width` rows, column after column, zeros
/// where rows are missing.
void pack(const MatrixView& m, size_t first, size_t count, size_t depth_begin, size_t depth_end, size_t width, float* out) {
  for (size_t strip = 0; strip < count; strip += width) {
    size_t rows = std::min(width, count - strip);
    const float* from = m.data + (first + strip) * m.row_stride + depth_begin * m.column_stride;
    size_t depth = depth_end - depth_begin;
    if (rows < width) std::fill_n(out, width * depth, 0.0f);
    if (m.row_stride == 1)
      for (size_t k = 0; k < depth; ++k) std::copy_n(from + k * m.column_stride, rows, out + k * width);
    else
      for (size_t i = 0; i < rows; ++i)
        for (size_t k = 0; k < depth; ++k) out[k * width + i] = from[i * m.row_stride + k * m.column_stride];
    out += width * depth;
  }
}

/// One block of the result.
class BlockProduct {
 public:
  BlockProduct(const MatrixView& a, const MatrixView& b, float factor, float* out, size_t stride, const TileProduct& tile)
      : a_(a), b_(b.transposed()), factor_(factor), out_(out), stride_(stride), tile_(tile) {
    left_.resize(rounded_up(kBlockRows, tile.rows) * kDepth);
    right_.resize(rounded_up(kBlockColumns, tile.columns) * kDepth);
    sums_.resize(tile.rows * tile.columns);
  }

  void run(size_t row, size_t rows, size_t column, size_t columns, size_t depth) {
    for (size_t k = 0; k < depth; k += kDepth) {
      size_t end = std::min(k + kDepth, depth);
      pack(a_, row, rows, k, end, tile_.rows, left_.data());
      pack(b_, column, columns, k, end, tile_.columns, right_.data());
      for (size_t j = 0; j < columns; j += tile_.columns)
        for (size_t i = 0; i < rows; i += tile_.rows) {
          tile_.run(end - k, left_.data() + i * (end - k), right_.data() + j * (end - k), sums_.data());
          add(row + i, std::min(tile_.rows, rows - i), column + j, std::min(tile_.columns, columns - j));
        }
    }
  }

 private:
  void add(size_t row, size_t rows, size_t column, size_t columns) {
    for (size_t i = 0; i < rows; ++i) {
      float* to = out_ + (row + i) * stride_ + column;
      const float* from = sums_.data() + i * tile_.columns;
      for (size_t j = 0; j < columns; ++j) to[j] += factor_ * from[j];
    }
  }

  MatrixView a_, b_;  // b with columns as rows
  float factor_;
  float* out_;
  size_t stride_;
  TileProduct tile_;
  std::vector<float> left_, right_, sums_;
};

}  // namespace

void multiply_add(const MatrixView& a, const MatrixView& b, float factor, float* out, size_t stride, ThreadPool& threads,
                  const ProductPart& part) {
  static const TileProduct tile = choose();
  size_t row_blocks = (a.rows + kBlockRows - 1) / kBlockRows, column_blocks = (b.columns + kBlockColumns - 1) / kBlockColumns;
  threads.parallel_for(row_blocks * column_blocks, 1, [&](size_t begin, size_t end) {
    BlockProduct product(a, b, factor, out, stride, tile);
    for (size_t block = begin; block < end; ++block) {
      size_t row = block / column_blocks * kBlockRows, column = block % column_blocks * kBlockColumns;
      size_t rows = std::min(kBlockRows, a.rows - row), columns = std::min(kBlockColumns, b.columns - column);
      if (part.upper_only && row >= column + columns) continue;
      if (part.lower_only && column >= row + rows) continue;
      product.run(row, rows, column, columns, part.left_is_lower ? std::min(a.columns, row + rows) : a.columns);
    }
  });
}

}  // namespace nibble
