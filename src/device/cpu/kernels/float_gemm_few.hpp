#pragma once

#include "device/cpu/kernels/float_gemm_codes.hpp"

// Few rows: weights stream through registers once and are decoded there.
namespace nibble::cpu {
namespace {

/// Rows up to which decoding in registers beats decoding into a block that the rows share.
constexpr size_t kFewRows = 4;

constexpr size_t kAhead = 512;

/// Accumulators of `rows` rows of x times `panels` panels.
template <class Simd, size_t rows, size_t panels>
struct FewSums {
  typename Simd::Floats at[rows][panels];

  [[gnu::always_inline]] void clear() {
#pragma GCC unroll 16
    for (size_t m = 0; m < rows; ++m)
#pragma GCC unroll 16
      for (size_t p = 0; p < panels; ++p) at[m][p] = Simd::zero();
  }
  /// Adds the products of the next columns with panel p.
  template <class Code>
  [[gnu::always_inline]] void add_columns(size_t p, const std::byte* codes, const typename Code::Group& group, const float* x,
                                          size_t x_stride) {
    typename Simd::Floats weights[Code::kColumns];
    Code::decode(codes, group, weights);
#pragma GCC unroll 16
    for (size_t ahead = 0; ahead < Code::kBytes; ahead += 64) __builtin_prefetch(codes + kAhead + ahead);
#pragma GCC unroll 16
    for (size_t c = 0; c < Code::kColumns; ++c)
#pragma GCC unroll 16
      for (size_t m = 0; m < rows; ++m) at[m][p] = Simd::multiply_add(Simd::broadcast(x[m * x_stride + c]), weights[c], at[m][p]);
  }
};

/// Sums of `rows` rows of x with `panels` panels from `panel` on, into sums[row][panel][lane].
template <class Simd, CodeType type, size_t rows, size_t panels>
[[gnu::noinline]] void multiply_few(const PackedMatrix& w, const float* x, size_t x_stride, size_t panel, float* sums) {
  using Code = Decoder<Simd, type>;
  size_t columns = w.padded_columns(), group = columns_per_group(w), groups = (columns + group - 1) / group, bytes = w.panel_bytes();
  const std::byte* codes = w.codes + panel * bytes;
  FewSums<Simd, rows, panels> y, t;
  y.clear();
  for (size_t g = 0, k = 0; g < groups; ++g) {
    auto index = [&](size_t p) { return ((panel + p) * groups + g) * kPanelRows; };
    typename Code::Group constants[panels];
#pragma GCC unroll 16
    for (size_t p = 0; p < panels; ++p) constants[p].load(w, index(p));
    t.clear();
    for (size_t end = minimum(columns, k + group); k < end; k += Code::kColumns, codes += Code::kBytes)
#pragma GCC unroll 16
      for (size_t p = 0; p < panels; ++p) t.template add_columns<Code>(p, codes + p * bytes, constants[p], x + k, x_stride);
#pragma GCC unroll 16
    for (size_t p = 0; p < panels; ++p) {
      auto scale = load_scales<Simd>(w, index(p));
#pragma GCC unroll 16
      for (size_t m = 0; m < rows; ++m) y.at[m][p] = Simd::multiply_add(t.at[m][p], scale, y.at[m][p]);
    }
  }
  for (size_t m = 0; m < rows; ++m)
    for (size_t p = 0; p < panels; ++p) Simd::store(sums + (m * panels + p) * kPanelRows, y.at[m][p]);
}

/// Panels that a loop over `rows` rows takes at a time: enough independent chains of fused multiply-adds to hide their latency (4 cycles
/// at 2 a cycle), as far as the registers reach.
template <class Simd>
constexpr size_t few_panels(size_t rows) {
  return rows == 1 ? 4 : rows == 2 ? Simd::kFewPanels : Simd::kFewPanels / 2;
}

template <class Simd, CodeType type, size_t rows, size_t panels>
void write_few(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, size_t panel, size_t row) {
  alignas(64) float sums[rows * panels * kPanelRows];
  multiply_few<Simd, type, rows, panels>(w, x + row * x_stride, x_stride, panel, sums);
  for (size_t m = 0; m < rows; ++m)
    for (size_t p = 0; p < panels; ++p) write_row(w, out, row + m, panel + p, sums + (m * panels + p) * kPanelRows);
}

template <class Simd, CodeType type, size_t rows>
void few_rows(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, size_t row) {
  constexpr size_t step = few_panels<Simd>(rows);
  size_t panel = panels.begin;
  for (; panel + step <= panels.end; panel += step) write_few<Simd, type, rows, step>(w, x, x_stride, out, panel, row);
  for (; panel < panels.end; ++panel) write_few<Simd, type, rows, 1>(w, x, x_stride, out, panel, row);
}

}  // namespace
}  // namespace nibble::cpu
