#pragma once

#include "device/cpu/kernels/float_gemm_codes.hpp"

// Few rows: weights stream through registers once and are decoded there.
namespace nibble::cpu {
namespace {

/// Bytes that a panel's weights are fetched ahead of their use, measured: 5 to 15 % faster from memory than the processor's own fetching.
constexpr size_t kAhead = 1024;

/// Sums of `rows` rows of x times `vectors` vectors of lanes.
template <class Simd, size_t rows, size_t vectors>
struct FewSums {
  typename Simd::Floats at[rows][vectors];

  [[gnu::always_inline]] void clear() {
#pragma GCC unroll 16
    for (size_t m = 0; m < rows; ++m)
#pragma GCC unroll 16
      for (size_t v = 0; v < vectors; ++v) at[m][v] = Simd::zero();
  }
  /// Adds the products of the next columns with panel p, a vector after the other.
  template <class Code>
  [[gnu::always_inline]] void add_vectors(size_t p, const std::byte* codes, const typename Code::Group* groups, const float* x,
                                          size_t x_stride) {
#pragma GCC unroll 16
    for (size_t v = p * kParts<Simd>; v < (p + 1) * kParts<Simd>; ++v) {
      const float* again = x;  // loaded again for every vector: kept in registers from one to the next, it would be spilled
      if (rows == 1) asm("" : "+r"(again));
      Code::decode(codes + v % kParts<Simd> * Code::kPartBytes, groups[v], [&](size_t c, typename Simd::Floats weights) {
#pragma GCC unroll 16
        for (size_t m = 0; m < rows; ++m) at[m][v] = Simd::multiply_add(Simd::broadcast(again[m * x_stride + c]), weights, at[m][v]);
      });
    }
  }
  /// The same, a column after the other: loads x once for all vectors of the panel.
  template <class Code>
  [[gnu::always_inline]] void add_columns(size_t p, const std::byte* codes, const typename Code::Group* groups, const float* x,
                                          size_t x_stride) {
    alignas(64) float decoded[Code::kColumns][kPanelRows];
#pragma GCC unroll 16
    for (size_t part = 0; part < kParts<Simd>; ++part)
      Code::decode(codes + part * Code::kPartBytes, groups[p * kParts<Simd> + part],
                   [&](size_t c, typename Simd::Floats weights) { Simd::store(decoded[c] + part * Simd::kLanes, weights); });
    asm("" : : "r"(decoded) : "memory");  // through memory: all columns at once do not fit in registers
    for (size_t c = 0; c < Code::kColumns; ++c)
#pragma GCC unroll 16
      for (size_t m = 0; m < rows; ++m) {
        auto value = Simd::broadcast(x[m * x_stride + c]);
#pragma GCC unroll 16
        for (size_t part = 0; part < kParts<Simd>; ++part) {
          auto& sum = at[m][p * kParts<Simd> + part];
          sum = Simd::multiply_add(value, Simd::load(decoded[c] + part * Simd::kLanes), sum);
        }
      }
  }
  [[gnu::always_inline]] void add_scaled(size_t v, const FewSums& sums, typename Simd::Floats scale) {
#pragma GCC unroll 16
    for (size_t m = 0; m < rows; ++m) at[m][v] = Simd::multiply_add(sums.at[m][v], scale, at[m][v]);
  }
};

/// Sums of `rows` rows of x with `panels` panels from `panel` on, into sums[row][panel][lane].
template <class Simd, CodeType type, size_t rows, size_t panels>
[[gnu::noinline]] void multiply_few(const PackedMatrix& w, const float* x, size_t x_stride, size_t panel, float* sums) {
  using Code = Decoder<Simd, type>;
  constexpr size_t parts = kParts<Simd>, vectors = panels * parts;
  const size_t columns = w.padded_columns(), group = columns_per_group(w), groups = (columns + group - 1) / group, bytes = w.panel_bytes();
  const std::byte* codes = w.codes + panel * bytes;
  FewSums<Simd, rows, vectors> y, t;
  y.clear();
  for (size_t g = 0, k = 0; g < groups; ++g) {
    auto index = [&](size_t v) { return ((panel + v / parts) * groups + g) * kPanelRows + v % parts * Simd::kLanes; };
    typename Code::Group constants[vectors];
#pragma GCC unroll 16
    for (size_t v = 0; v < vectors; ++v) constants[v].load(w, index(v));
    t.clear();
    for (size_t end = minimum(columns, k + group); k < end; k += Code::kColumns, codes += Code::kBytes)
#pragma GCC unroll 16
      for (size_t p = 0; p < panels; ++p) {
        const std::byte* from = codes + p * bytes;
        for (size_t ahead = 0; ahead < Code::kBytes; ahead += 64) __builtin_prefetch(from + kAhead + ahead);
        if constexpr (rows * parts > 4)
          t.template add_columns<Code>(p, from, constants, x + k, x_stride);
        else
          t.template add_vectors<Code>(p, from, constants, x + k, x_stride);
      }
#pragma GCC unroll 16
    for (size_t v = 0; v < vectors; ++v) y.add_scaled(v, t, load_scales<Simd>(w, index(v)));
  }
  for (size_t m = 0; m < rows; ++m)
    for (size_t v = 0; v < vectors; ++v) Simd::store(sums + (m * vectors + v) * Simd::kLanes, y.at[m][v]);
}

/// Panels that a loop over `rows` rows takes at a time: enough independent chains of fused multiply-adds to hide their latency (4 cycles
/// at 2 a cycle), as far as the registers reach.
template <class Simd>
constexpr size_t few_panels(size_t rows) {
  return rows == 1 ? 4 : rows <= Simd::kFewRows / 2 ? Simd::kFewPanels : Simd::kFewPanels / 2;
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
