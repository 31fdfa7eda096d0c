#include <algorithm>

#include "device/cpu/steps.hpp"

namespace nibble::cpu {

namespace {

// Scratch buffers of an Execution.
enum Scratch : size_t { kCodes, kTerms, kPadded };

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

bool quantizes_activations(const Precision& precision, const PackedMatrix& w) {
  bool integer = w.code_type == CodeType::u4 || w.code_type == CodeType::u8;
  return integer && precision.dynamic_quantization_group > 0 && w.group_size % kChunk == 0;
}

bool uses_bf16(const Precision& precision, const PackedMatrix& w) { return precision.bf16 && w.code_type == CodeType::bf16; }

/// Panels that a thread takes at once: whole tiles of an even number of panels, and so few that all threads end together.
size_t panel_grain(const Execution& execution, size_t panels, size_t tile) {
  constexpr size_t kPartsPerThread = 8;
  size_t parts = static_cast<size_t>(execution.threads().size()) * kPartsPerThread, unit = tile % 2 == 0 ? tile : 2 * tile;
  return std::max(unit, panels / parts / unit * unit);
}

/// Calls body(panels) on all threads, or here alone where the product is tiny.
template <class Body>
void for_panels(const Execution& execution, const PackedMatrix& w, size_t rows, size_t tile, const Body& body) {
  constexpr size_t kWorthThreads = 1 << 17;  // multiplications: a few microseconds
  size_t panels = w.panels();
  if (w.rows * w.columns * rows < kWorthThreads || execution.threads().size() == 1) return body(Range{0, panels});
  execution.threads().parallel_for(panels, panel_grain(execution, panels, tile), [&](size_t begin, size_t end) {
    body(Range{begin, end});
  });
}

/// Calls body(begin, end) on ranges of rows that cost about `cost` nanoseconds each.
template <class Body>
void for_rows(const Execution& execution, size_t rows, double cost, const Body& body) {
  constexpr double kWorthThreads = 10000;
  if (static_cast<double>(rows) * cost < kWorthThreads) return body(size_t{0}, rows);
  size_t parts = static_cast<size_t>(execution.threads().size()) * 4;
  execution.threads().parallel_for(rows, (rows + parts - 1) / parts, body);
}

void multiply_quantized(Execution& execution, const PackedMatrix& w, RowsView in, size_t rows, const GemmOutput& out) {
  const Precision& precision = execution.plan().precision;
  const QuantizedGemm& kernel = quantized_gemm(w.code_type, precision.isa);
  // Rows that are a multiple of 4096 bytes apart would fight for the same cache sets.
  size_t stride = round_up(w.padded_columns(), 64) + 64, chunks = w.padded_columns() / kChunk;
  auto* codes = reinterpret_cast<int8_t*>(execution.scratch(kCodes, rows * stride));
  auto* terms = reinterpret_cast<ChunkTerms*>(execution.scratch(kTerms, rows * chunks * sizeof(ChunkTerms)));
  for_rows(execution, rows, 0.3 * static_cast<double>(w.columns), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r)
      kernel.quantize(in.row(r), w.columns, precision.dynamic_quantization_group, codes + r * stride, terms + r * chunks);
    fold_zero_points(w, terms + begin * chunks, end - begin);
  });
  QuantizedRows x{rows, stride, chunks, codes, terms};
  for_panels(execution, w, rows, rows == 1 ? 2 : kernel.tile_panels, [&](Range panels) { kernel.multiply(w, x, out, panels, {0, rows}); });
}

void multiply_bf16(Execution& execution, const PackedMatrix& w, RowsView in, size_t rows, const GemmOutput& out) {
  const Bf16Gemm& kernel = bf16_gemm(execution.plan().precision.isa);
  size_t stride = w.padded_columns() + kChunk;
  auto* x = reinterpret_cast<uint16_t*>(execution.scratch(kCodes, rows * stride * sizeof(uint16_t)));
  for_rows(execution, rows, 0.1 * static_cast<double>(w.columns), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) kernel.round(in.row(r), w.columns, x + r * stride);
  });
  for_panels(execution, w, rows, rows <= 2 ? 8 : 3, [&](Range panels) { kernel.multiply(w, x, stride, out, panels, {0, rows}); });
}

/// Rows padded with zeros to the columns of the packed matrix.
RowsView padded(Execution& execution, const PackedMatrix& w, RowsView in, size_t rows) {
  size_t width = w.padded_columns();
  if (w.columns == width) return in;
  auto* copy = reinterpret_cast<float*>(execution.scratch(kPadded, rows * width * sizeof(float)));
  for (size_t r = 0; r < rows; ++r) {
    std::copy_n(in.row(r), w.columns, copy + r * width);
    std::fill(copy + r * width + w.columns, copy + (r + 1) * width, 0.0f);
  }
  return {copy, width};
}

}  // namespace

void multiply(Execution& execution, const PackedMatrix& w, RowsView in, size_t rows, const GemmOutput& out, bool exact) {
  const Precision& precision = execution.plan().precision;
  if (!exact && quantizes_activations(precision, w)) return multiply_quantized(execution, w, in, rows, out);
  if (!exact && uses_bf16(precision, w)) return multiply_bf16(execution, w, in, rows, out);
  const FloatGemm& kernel = float_gemm(w.code_type, precision.isa);
  RowsView x = padded(execution, w, in, rows);
  for_panels(execution, w, rows, 2, [&](Range panels) { kernel.multiply(w, x.data, x.stride, out, panels, {0, rows}); });
}

Arithmetic arithmetic_of(const Precision& precision, const PackedMatrix& w) {
  if (quantizes_activations(precision, w)) return w.code_type == CodeType::u4 ? Arithmetic::int4 : Arithmetic::int8;
  return uses_bf16(precision, w) ? Arithmetic::bf16 : Arithmetic::f32;
}

std::string_view kernel_name(const Precision& precision, const PackedMatrix& w, bool exact) {
  if (!exact && quantizes_activations(precision, w)) return quantized_gemm(w.code_type, precision.isa).name;
  if (!exact && uses_bf16(precision, w)) return bf16_gemm(precision.isa).name;
  return float_gemm(w.code_type, precision.isa).name;
}

}  // namespace nibble::cpu
