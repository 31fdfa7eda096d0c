#pragma once

#include "device/cpu/kernels/float_gemm_few.hpp"
#include "device/cpu/kernels/float_gemm_many.hpp"

namespace nibble::cpu {
namespace {

/// Rows that pass over panels in the second-level cache: 96 rows of 2048 columns take 768 KiB.
constexpr size_t kTiledRows = 96;

using MultiplyFew = void (*)(const PackedMatrix&, const float*, size_t, const GemmOutput&, Range, size_t);

/// The kernel for `rows` rows: few_rows<Simd, type, rows>.
template <class Simd, CodeType type, size_t candidate = Simd::kFewRows>
MultiplyFew few_of(size_t rows) {
  if constexpr (candidate == 1) {
    return few_rows<Simd, type, 1>;
  } else {
    return rows == candidate ? few_rows<Simd, type, candidate> : few_of<Simd, type, candidate - 1>(rows);
  }
}

/// Decoding takes an operation a vector or none, less than passing the weights through memory: rows go through in tiles of few rows.
template <CodeType type>
constexpr bool kIsFloat = type == CodeType::f16 || type == CodeType::bf16 || type == CodeType::f32;

/// Rows in tiles of about the same size, a few panels at a time, which stay in the second-level cache while a block of rows passes.
template <class Simd, CodeType type>
void rows_in_tiles(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  for (size_t block = rows.begin; block < rows.end; block += kTiledRows) {
    const size_t count = minimum(kTiledRows, rows.end - block), tiles = (count + Simd::kFewRows - 1) / Simd::kFewRows;
    for (size_t panel = panels.begin; panel < panels.end; panel += Simd::kFewPanels)
      for (size_t i = 0; i < tiles; ++i) {
        const size_t row = i * count / tiles, end = (i + 1) * count / tiles;
        few_of<Simd, type>(end - row)(w, x, x_stride, out, {panel, minimum(panel + Simd::kFewPanels, panels.end)}, block + row);
      }
  }
}

template <class Simd, CodeType type>
void multiply(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  const size_t count = rows.end - rows.begin;
  if (count == 0) return;
  const bool whole_vectors = groups_are_whole_vectors<Simd, type>(w);
  if (whole_vectors && count <= Simd::kFewRows) return few_of<Simd, type>(count)(w, x, x_stride, out, panels, rows.begin);
  if (whole_vectors && kIsFloat<type>) return rows_in_tiles<Simd, type>(w, x, x_stride, out, panels, rows);
  many_rows<Simd, type>(w, x, x_stride, out, panels, rows);
}

}  // namespace
}  // namespace nibble::cpu
