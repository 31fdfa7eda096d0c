// g++ 12 takes the undefined operand of unmasked intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include <immintrin.h>

#include "device/cpu/kernels/float_gemm_isa.hpp"
#include "device/cpu/kernels/float_gemm_parts.hpp"

namespace nibble::cpu {
namespace {

/// 24 sums, 3 vectors of weights and the activations in 32 registers. No more rows than a first-level cache has ways: rows 4 KiB apart, as
/// 2048 columns are, share them.
constexpr size_t kTileRows = 8, kTilePanels = 3;
/// Panels of a tile of one or two rows: enough independent sums to hide the latency of 6 cycles.
constexpr size_t kFewPanels = 8;
/// Rows that pass over a panel while it lies in the second-level cache: 96 rows of 4096 columns are 768 KiB.
constexpr size_t kBlockRows = 96;

__m512bh broadcast_pair(const uint16_t* pair) {
  int32_t bits;
  std::memcpy(&bits, pair, sizeof bits);
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits));
}

__m512bh load_pairs(const std::byte* from) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from)); }

template <size_t rows, size_t panels>
void multiply_tile(const PackedMatrix& w, const uint16_t* x, size_t x_stride, const GemmOutput& out, size_t panel, size_t row) {
  size_t bytes = w.panel_bytes();
  const std::byte* codes = w.codes + panel * bytes;
  x += row * x_stride;
  __m512 sums[rows][panels];
#pragma GCC unroll 16
  for (auto& of_row : sums)
#pragma GCC unroll 16
    for (auto& sum : of_row) sum = _mm512_setzero_ps();
  for (size_t k = 0; k < w.padded_columns(); k += 2, codes += 64) {
    __m512bh v[panels];
#pragma GCC unroll 16
    for (size_t p = 0; p < panels; ++p) v[p] = load_pairs(codes + p * bytes);
#pragma GCC unroll 16
    for (size_t m = 0; m < rows; ++m) {
      __m512bh value = broadcast_pair(x + m * x_stride + k);
#pragma GCC unroll 16
      for (size_t p = 0; p < panels; ++p) sums[m][p] = _mm512_dpbf16_ps(sums[m][p], value, v[p]);
    }
  }
  alignas(64) float lanes[kPanelRows];
  for (size_t m = 0; m < rows; ++m)
    for (size_t p = 0; p < panels; ++p) {
      _mm512_store_ps(lanes, sums[m][p]);
      write_row(w, out, row + m, panel + p, lanes);
    }
}

using MultiplyTile = void (*)(const PackedMatrix&, const uint16_t*, size_t, const GemmOutput&, size_t, size_t);

template <size_t panels, size_t candidate>
MultiplyTile tile_of(size_t rows) {
  if constexpr (candidate == 1) {
    return multiply_tile<1, panels>;
  } else {
    return rows == candidate ? multiply_tile<candidate, panels> : tile_of<panels, candidate - 1>(rows);
  }
}

/// All panels for up to kTileRows rows.
template <size_t panels, size_t max_rows>
void multiply_rows(const PackedMatrix& w, const uint16_t* x, size_t x_stride, const GemmOutput& out, Range range, Range rows) {
  size_t panel = range.begin, count = rows.end - rows.begin;
  MultiplyTile tile = tile_of<panels, max_rows>(count), tail = tile_of<1, max_rows>(count);
  for (; panel + panels <= range.end; panel += panels) tile(w, x, x_stride, out, panel, rows.begin);
  for (; panel < range.end; ++panel) tail(w, x, x_stride, out, panel, rows.begin);
}

/// Tiles of about the same number of rows: few rows keep the arithmetic units less busy.
void multiply_block(const PackedMatrix& w, const uint16_t* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  size_t count = rows.end - rows.begin, tiles = (count + kTileRows - 1) / kTileRows;
  for (size_t panel = panels.begin; panel < panels.end; panel += kTilePanels)
    for (size_t i = 0; i < tiles; ++i)
      multiply_rows<kTilePanels, kTileRows>(w, x, x_stride, out, {panel, minimum(panel + kTilePanels, panels.end)},
                                            {rows.begin + i * count / tiles, rows.begin + (i + 1) * count / tiles});
}

void multiply(const PackedMatrix& w, const uint16_t* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  size_t count = rows.end - rows.begin;
  if (count == 0) return;
  if (count <= 2) return multiply_rows<kFewPanels, 2>(w, x, x_stride, out, panels, rows);
  for (size_t row = rows.begin; row < rows.end; row += kBlockRows)
    multiply_block(w, x, x_stride, out, panels, {row, minimum(row + kBlockRows, rows.end)});
}

void round(const float* x, size_t columns, uint16_t* out) {
  for (size_t k = 0; k < columns; k += kPanelRows) {
    size_t left = minimum(kPanelRows, columns - k);
    auto valid = static_cast<__mmask16>((1u << left) - 1);
    auto rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(valid, x + k)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k), rounded);
  }
  size_t written = (columns + kPanelRows - 1) / kPanelRows * kPanelRows;
  if (written % kChunk) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + written), _mm256_setzero_si256());
}

}  // namespace

const Bf16Gemm& bf16_gemm_avx512bf16() {
  static constexpr Bf16Gemm kernel{"gemm_bf16_bf16_48x8_avx512bf16", round, multiply};
  return kernel;
}

}  // namespace nibble::cpu
