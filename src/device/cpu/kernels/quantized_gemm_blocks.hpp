#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/cpu/kernels/quantized_gemm.hpp"

// The loops around the vector code of quantized_gemm.ISA.cpp. Everything is local to the file that includes it, since each is compiled
// for another processor. `Ops` are the operations of an instruction set, `Dot` its way to compute the sums of a chunk.

namespace nibble::cpu {
namespace {

/// Columns / 32 that all rows of a block are multiplied with before the next: 2 panels of 512 columns are 16 KB of 8-bit codes, half of L1.
constexpr size_t kBlockChunks = 16;
/// Rows that share an unpacked block of weights: 96 rows of 5632 activations are 540 KB, about what L2 may hold.
constexpr size_t kBlockRows = 96;

// The members of PackedMatrix are inline functions that other files share.
inline size_t chunks_of(const PackedMatrix& w) { return (w.columns + kChunk - 1) / kChunk; }
/// Bytes ahead that few rows ask for weights: the processor's own prefetching stops at the end of a page.
constexpr size_t kPrefetchBytes = 4096;

inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/// A product of some rows with V vectors of weight rows over some chunks: whole groups, or a part of one.
template <size_t V>
struct Tile {
  const uint8_t* codes[V];        ///< of the first chunk
  const std::byte* scales[V];     ///< of the first group
  const uint8_t* zero_points[V];  ///< likewise, unless they are all the same
  size_t chunks, group_chunks;
  bool continues, unfinished;  ///< the first group began before; the last one ends later
  const int8_t* x;             ///< of the first row and chunk, as the next two
  const float* x_scales;
  const int32_t* x_sums;  ///< times -zero point where that is the same for all
  size_t x_stride, x_chunks, sums_stride;
  float *y, *t;  ///< [rows][V * lanes]
};

inline void prefetch(const void* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) _mm_prefetch(static_cast<const char*>(from) + i, _MM_HINT_T0);
}

/// One tile of R rows. `Shared`: one zero point for all weights.
template <class Ops, class Shape, size_t V, size_t R, bool Shared>
__attribute__((noinline)) void run_tile(const Tile<V>& tile, const PackedMatrix& w) {
  using Dot = typename Shape::Dot;
  constexpr size_t kWidth = V * Ops::kLanes;
  const size_t scale_bytes = kPanelRows * (w.scale_type == ScaleType::f32 ? 4 : 2);
  typename Ops::Int zeros[V];
  typename Ops::Float t[V][R];
  for (size_t begin = 0, group = 0; begin < tile.chunks; begin += tile.group_chunks, ++group) {
    const size_t end = smaller(begin + tile.group_chunks, tile.chunks);
    const bool resumes = tile.continues && begin == 0;
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) {
      if (!Shared) zeros[v] = Ops::negated(tile.zero_points[v] + group * kPanelRows);
#pragma GCC unroll 16
      for (size_t r = 0; r < R; ++r) t[v][r] = resumes ? Ops::load(tile.t + r * kWidth + v * Ops::kLanes) : Ops::zero();
    }
    for (size_t c = begin; c < end; ++c) {
      typename Ops::Int sums[V][R];
      if constexpr (Shape::kStreams) prefetch(tile.codes[0] + c * Dot::kChunkBytes + kPrefetchBytes, Dot::kChunkBytes);
      Dot::template chunk<V, R, Shared>(tile, c, zeros, sums);
#pragma GCC unroll 16
      for (size_t r = 0; r < R; ++r) {
        const typename Ops::Float scale = Ops::broadcast_float(tile.x_scales + r * tile.x_chunks + c);
#pragma GCC unroll 16
        for (size_t v = 0; v < V; ++v) t[v][r] = Ops::fma(Ops::to_float(sums[v][r]), scale, t[v][r]);
      }
    }
    if (tile.unfinished && end == tile.chunks) {
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v)
#pragma GCC unroll 16
        for (size_t r = 0; r < R; ++r) Ops::store(tile.t + r * kWidth + v * Ops::kLanes, t[v][r]);
      return;
    }
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) {
      const typename Ops::Float scale = Ops::scales(tile.scales[v] + group * scale_bytes, w.scale_type);
#pragma GCC unroll 16
      for (size_t r = 0; r < R; ++r) {
        float* y = tile.y + r * kWidth + v * Ops::kLanes;
        Ops::store(y, Ops::fma(t[v][r], scale, Ops::load(y)));
      }
    }
  }
}

template <class Ops, class Shape, size_t V, size_t R>
void run_rows(const Tile<V>& tile, const PackedMatrix& w, size_t rows) {
  if constexpr (R > 1) {
    if (rows < R) return run_rows<Ops, Shape, V, R - 1>(tile, w, rows);
  }
  w.zero_points ? run_tile<Ops, Shape, V, R, false>(tile, w) : run_tile<Ops, Shape, V, R, true>(tile, w);
}

/// Writes the results y[rows][width] of weight rows from `first` on.
template <class Ops>
void finish(const float* y, size_t width, const GemmOutput& out, size_t weight_rows, Range rows, size_t first) {
  const size_t count = smaller(width, weight_rows - first);
  for (size_t m = rows.begin; m < rows.end; ++m, y += width) {
    float* to = out.data + m * out.stride + first;
    size_t n = 0;
    for (; n + Ops::kLanes <= count; n += Ops::kLanes) {
      typename Ops::Float value = Ops::load(y + n);
      if (out.bias) value = Ops::add(value, Ops::load(out.bias + first + n));
      if (out.accumulate) value = Ops::add(value, Ops::load(to + n));
      Ops::store(to + n, value);
    }
    for (; n < count; ++n) {
      float value = y[n];
      if (out.bias) value += out.bias[first + n];
      if (out.accumulate) value += to[n];
      to[n] = value;
    }
  }
}

/// Where the block that begins at chunk `begin` ends: at most `limit` chunks on, after whole groups or within the group it begins in.
inline size_t block_end(size_t begin, size_t group_chunks, size_t chunks, size_t limit) {
  const size_t group_end = (begin / group_chunks + 1) * group_chunks;
  const size_t end = group_chunks <= limit ? begin + limit / group_chunks * group_chunks : smaller(begin + limit, group_end);
  return smaller(end, chunks);
}

/// Sums of activations times -zero point, which is where the sums of a chunk start. One multiplication serves all weights of the tile.
template <class Ops>
void multiply_sums(const int32_t* sums, size_t count, int zero_point, int32_t* out) {
  const typename Ops::Int factor = Ops::negated(zero_point);
  size_t i = 0;
  for (; i + Ops::kLanes <= count; i += Ops::kLanes) Ops::store_int(out + i, Ops::madd(Ops::load_int(sums + i), factor));
  for (; i < count; ++i) out[i] = sums[i] * -zero_point;
}

/// Sets what depends on the panels and the first chunk.
template <class Ops, class Dot, size_t V>
void place_weights(Tile<V>& tile, const PackedMatrix& w, size_t panel, size_t chunk, const uint8_t* unpacked) {
  constexpr size_t kVectors = kPanelRows / Ops::kLanes;
  const size_t chunks = chunks_of(w), groups = (chunks + tile.group_chunks - 1) / tile.group_chunks, scale_bytes = w.scale_type == ScaleType::f32 ? 4 : 2;
  const uint8_t* codes = reinterpret_cast<const uint8_t*>(w.codes);
  for (size_t v = 0; v < V; ++v) {
    const size_t p = panel + v / kVectors, lane = v % kVectors * Ops::kLanes;
    const size_t values = (p * groups + chunk / tile.group_chunks) * kPanelRows + lane;
    tile.codes[v] = unpacked ? unpacked + v / kVectors * kBlockChunks * Dot::kChunkBytes + lane * 4
                             : codes + (p * chunks + chunk) * Dot::kChunkBytes + lane * 4;
    tile.scales[v] = w.scales + values * scale_bytes;
    tile.zero_points[v] = w.zero_points ? w.zero_points + values : nullptr;
  }
}

/// Part i of n of `bytes` of each of the panels.
inline void prefetch_part(const std::byte* panel, size_t panels, size_t panel_bytes, size_t bytes, size_t i, size_t n) {
  const size_t from = bytes * i / n / 64 * 64, to = bytes * (i + 1) / n / 64 * 64;
  for (size_t p = 0; p < panels; ++p) prefetch(panel + p * panel_bytes + from, to - from);
}

/// Rows `rows` (at most kBlockRows) times P panels, in tiles of at most Shape::kRows rows.
template <class Ops, class Shape, size_t P>
void multiply_panels(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, size_t panel, Range rows) {
  using Dot = typename Shape::Dot;
  constexpr size_t V = P * kPanelRows / Ops::kLanes, kWidth = P * kPanelRows;
  alignas(64) uint8_t unpacked[Shape::kUnpacks ? P * kBlockChunks * Dot::kChunkBytes : 1];
  alignas(64) int32_t sums[Shape::kMostRows * Shape::kMostChunks];
  alignas(64) float y[Shape::kMostRows * kWidth], t[Shape::kMostRows * kWidth];
  const size_t count = rows.end - rows.begin, tiles = (count + Shape::kRows - 1) / Shape::kRows;
  const size_t chunks = chunks_of(w), packed_bytes = kChunk * kPanelRows * (w.code_type == CodeType::u4 ? 4 : 8) / 8;
  const size_t limit = tiles == 1 ? Shape::kMostChunks : kBlockChunks;
  memset(y, 0, count * kWidth * sizeof(float));
  Tile<V> tile;
  tile.group_chunks = w.group_size / kChunk, tile.x_stride = x.stride, tile.x_chunks = x.chunks;
  tile.sums_stride = w.zero_points ? x.chunks : limit;
  for (size_t begin = 0, end; begin < chunks; begin = end) {
    end = block_end(begin, tile.group_chunks, chunks, limit);
    tile.chunks = end - begin;
    tile.continues = begin % tile.group_chunks != 0, tile.unfinished = end % tile.group_chunks != 0 && end != chunks;
    if constexpr (Shape::kUnpacks)
      for (size_t p = 0; p < P; ++p)
        Dot::unpack(w.codes + ((panel + p) * chunks + begin) * packed_bytes, end - begin,
                    unpacked + p * kBlockChunks * Dot::kChunkBytes);
    if (!w.zero_points)
      for (size_t m = 0; m < count; ++m)
        multiply_sums<Ops>(x.sums + (rows.begin + m) * x.chunks + begin, end - begin, w.zero_point, sums + m * limit);
    place_weights<Ops, Dot>(tile, w, panel, begin, Shape::kUnpacks ? unpacked : nullptr);
    const size_t next = end == chunks ? (panel + P) * chunks : panel * chunks + end;
    for (size_t i = 0; i < tiles; ++i) {
      if constexpr (!Shape::kStreams) prefetch_part(w.codes + next * packed_bytes, P, chunks * packed_bytes, (end - begin) * packed_bytes, i, tiles);
      const size_t from = count * i / tiles, to = count * (i + 1) / tiles, m = rows.begin + from;
      tile.x = x.codes + m * x.stride + begin * kChunk;
      tile.x_scales = x.scales + m * x.chunks + begin, tile.x_sums = w.zero_points ? x.sums + m * x.chunks + begin : sums + from * limit;
      tile.y = y + from * kWidth, tile.t = t + from * kWidth;
      run_rows<Ops, Shape, V, Shape::kRows>(tile, w, to - from);
      if (end == chunks) finish<Ops>(tile.y, kWidth, out, w.rows, {m, rows.begin + to}, panel * kPanelRows);
    }
  }
}

template <class Ops, class Shape>
void multiply_shape(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, Range panels, Range rows) {
  for (size_t m = rows.begin; m < rows.end; m += Shape::kMostRows) {
    const Range block{m, smaller(m + Shape::kMostRows, rows.end)};
    size_t panel = panels.begin;
    for (; panel + Shape::kPanels <= panels.end; panel += Shape::kPanels) multiply_panels<Ops, Shape, Shape::kPanels>(w, x, out, panel, block);
    for (; panel < panels.end; ++panel) multiply_panels<Ops, Shape, 1>(w, x, out, panel, block);
  }
}

/// At most kMostRows rows, in tiles of one panel and at most R rows; reads the weights as they are packed.
template <class D, size_t R>
struct Few {
  using Dot = D;
  static constexpr size_t kMostRows = 16, kMostChunks = 256, kPanels = 1, kRows = R;
  static constexpr bool kUnpacks = false, kStreams = true;
};

/// More rows, in tiles of at most P panels and R rows, that share a block of weights; `Unpacks` makes them codes that Dot reads.
template <class D, size_t P, size_t R, bool Unpacks>
struct Many {
  using Dot = D;
  static constexpr size_t kMostRows = kBlockRows, kMostChunks = kBlockChunks, kPanels = P, kRows = R;
  static constexpr bool kUnpacks = Unpacks, kStreams = false;
};

template <class Ops, class Few, class Many>
void multiply(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, Range panels, Range rows) {
  if (rows.end - rows.begin <= Few::kMostRows) return multiply_shape<Ops, Few>(w, x, out, panels, rows);
  multiply_shape<Ops, Many>(w, x, out, panels, rows);
}

}  // namespace
}  // namespace nibble::cpu
