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

/// Bytes of codes of the columns that all rows of a block are multiplied with before the next: they stay in L1.
constexpr size_t kBlockBytes = size_t{24} << 10;
/// Rows that share an unpacked block of weights. Of each only the block's columns are read, so that they stay in L2.
constexpr size_t kBlockRows = 192;

/// Bytes ahead that few rows ask for weights: the processor's own prefetching stops at the end of a page.
constexpr size_t kPrefetchBytes = 4096;

// The members of PackedMatrix are inline functions that other files share.
inline size_t chunks_of(const PackedMatrix& w) { return (w.columns + kChunk - 1) / kChunk; }
inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/// A product of some rows with V vectors of weight rows over some chunks: whole groups, or a part of one.
template <size_t V>
struct Tile {
  const uint8_t* codes[V];        ///< of the first chunk
  const std::byte* scales[V];     ///< of the first group
  const uint8_t* zero_points[V];  ///< likewise, unless they are all the same
  size_t chunks, group_chunks;
  bool continues, unfinished;  ///< the first group began before; the last one ends later
  const int8_t* x;             ///< of the first row and chunk, as the next
  const ChunkTerms* terms;
  size_t x_stride, x_chunks;
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
  const ScaleType scale_type = w.scale_type;
  const size_t scale_bytes = kPanelRows * (scale_type == ScaleType::f32 ? 4 : 2);
  // Copies, because g++ takes every store for one that may change what `tile` says.
  float* const y = tile.y;
  const ChunkTerms* const terms = tile.terms;
  const size_t x_chunks = tile.x_chunks;
  const std::byte* scales[V];
#pragma GCC unroll 16
  for (size_t v = 0; v < V; ++v) scales[v] = tile.scales[v];
  typename Ops::Float t[V][R];
  for (size_t begin = 0, group = 0; begin < tile.chunks; begin += tile.group_chunks, ++group) {
    const size_t end = smaller(begin + tile.group_chunks, tile.chunks);
    const bool resumes = tile.continues && begin == 0;
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) {
      typename Ops::Float factor;
      if constexpr (!Shared) factor = Ops::negated(tile.zero_points[v] + group * kPanelRows);
#pragma GCC unroll 16
      for (size_t r = 0; r < R; ++r) {
        const typename Ops::Float sum = Ops::broadcast_float(&terms[r * x_chunks + begin].sum);
        if (resumes)
          t[v][r] = Ops::load(tile.t + r * kWidth + v * Ops::kLanes);
        else if constexpr (Shared)
          t[v][r] = sum;
        else
          t[v][r] = Ops::mul(sum, factor);
      }
    }
    for (size_t c = begin; c < end; ++c) {
      typename Ops::Int sums[V][R];
      if constexpr (Shape::kStreams) prefetch(tile.codes[0] + c * Dot::kChunkBytes + kPrefetchBytes, Dot::kChunkBytes);
      Dot::template chunk<V, R>(tile, c, sums);
#pragma GCC unroll 16
      for (size_t r = 0; r < R; ++r) {
        Dot::template finish_row<V, R>(r, sums);
        const typename Ops::Float scale = Ops::broadcast_float(&terms[r * x_chunks + c].scale);
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
      const typename Ops::Float scale = Ops::scales(scales[v] + group * scale_bytes, scale_type);
#pragma GCC unroll 16
      for (size_t r = 0; r < R; ++r) {
        float* at = y + r * kWidth + v * Ops::kLanes;
        Ops::store(at, Ops::fma(t[v][r], scale, Ops::load(at)));
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

/// The product of rows (at most Shape::kMostRows) with P panels, block of columns by block of columns, in tiles of at most Shape::kRows
/// rows.
template <class Ops, class Shape, size_t P>
class PanelProduct {
 public:
  PanelProduct(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, size_t panel, Range rows)
      : w_(w), x_(x), out_(out), panel_(panel), rows_(rows), count_(rows.end - rows.begin) {
    memset(y_, 0, count_ * kWidth * sizeof(float));
    tile_.group_chunks = w.group_size / kChunk, tile_.x_stride = x.stride, tile_.x_chunks = x.chunks;
  }

  void run() {
    for (size_t begin = 0; begin < chunks_; begin += tile_.chunks) {
      const size_t end = block_end(begin, tile_.group_chunks, chunks_, limit_);
      tile_.chunks = end - begin;
      tile_.continues = begin % tile_.group_chunks != 0, tile_.unfinished = end % tile_.group_chunks != 0 && end != chunks_;
      place_weights(begin);
      for (size_t i = 0; i < tiles_; ++i) run_rows_of(i, begin);
    }
  }

 private:
  using Dot = typename Shape::Dot;
  static constexpr size_t kWidth = P * kPanelRows, V = kWidth / Ops::kLanes, kVectors = kPanelRows / Ops::kLanes;

  const std::byte* packed(size_t panel, size_t chunk) const { return w_.codes + (panel * chunks_ + chunk) * packed_bytes_; }

  void place_weights(size_t begin) {
    const size_t groups = (chunks_ + tile_.group_chunks - 1) / tile_.group_chunks, scale_bytes = w_.scale_type == ScaleType::f32 ? 4 : 2;
    for (size_t p = 0; p < P; ++p) {
      const uint8_t* codes = reinterpret_cast<const uint8_t*>(packed(panel_ + p, begin));
      if constexpr (Shape::kUnpacks) {
        Dot::unpack(packed(panel_ + p, begin), tile_.chunks, unpacked_[p]);
        codes = unpacked_[p];
      }
      for (size_t i = 0; i < kVectors; ++i) {
        const size_t v = p * kVectors + i, lane = i * Ops::kLanes;
        const size_t values = ((panel_ + p) * groups + begin / tile_.group_chunks) * kPanelRows + lane;
        tile_.codes[v] = codes + lane * 4;
        tile_.scales[v] = w_.scales + values * scale_bytes;
        tile_.zero_points[v] = w_.zero_points ? w_.zero_points + values : nullptr;
      }
    }
  }

  /// Asks for part i of the weights of the next block, which follow or are those of the next panels.
  void prefetch_part(size_t i, size_t begin) const {
    const size_t end = begin + tile_.chunks, bytes = tile_.chunks * packed_bytes_;
    const size_t from = bytes * i / tiles_ / 64 * 64, to = bytes * (i + 1) / tiles_ / 64 * 64;
    for (size_t p = 0; p < P; ++p) prefetch((end < chunks_ ? packed(panel_ + p, end) : packed(panel_ + P + p, 0)) + from, to - from);
  }

  /// A row of the result lies far from the next, where the processor does not look ahead.
  void prefetch_results(Range rows) const {
    const size_t first = panel_ * kPanelRows, count = smaller(kWidth, w_.rows - first);
    for (size_t m = rows.begin; m < rows.end; ++m) prefetch(out_.data + m * out_.stride + first, count * sizeof(float));
  }

  void run_rows_of(size_t i, size_t begin) {
    if constexpr (!Shape::kStreams) prefetch_part(i, begin);
    const size_t from = count_ * i / tiles_, to = count_ * (i + 1) / tiles_, m = rows_.begin + from;
    const bool last = begin + tile_.chunks == chunks_;
    if (last) prefetch_results({m, rows_.begin + to});
    tile_.x = x_.codes + m * x_.stride + begin * kChunk;
    tile_.terms = x_.terms + m * x_.chunks + begin;
    tile_.y = y_ + from * kWidth, tile_.t = t_ + from * kWidth;
    run_rows<Ops, Shape, V, Shape::kRows>(tile_, w_, to - from);
    if (last) finish<Ops>(tile_.y, kWidth, out_, w_.rows, {m, rows_.begin + to}, panel_ * kPanelRows);
  }

  const PackedMatrix& w_;
  const QuantizedRows& x_;
  const GemmOutput& out_;
  const size_t panel_;
  const Range rows_;
  const size_t count_, tiles_ = (count_ + Shape::kRows - 1) / Shape::kRows;
  const size_t chunks_ = chunks_of(w_), packed_bytes_ = kChunk * kPanelRows / (w_.code_type == CodeType::u4 ? 2 : 1);
  const size_t limit_ = tiles_ == 1 ? Shape::kMostChunks : Shape::kTileChunks;  ///< chunks in a block
  Tile<V> tile_;
  alignas(64) uint8_t unpacked_[P][Shape::kUnpacks ? Shape::kMostChunks * Dot::kChunkBytes : 1];
  alignas(64) float y_[Shape::kMostRows * kWidth], t_[Shape::kMostRows * kWidth];
};

/// As many tiles of P panels as there are, the rest in smaller ones.
template <class Ops, class Shape, size_t P>
void multiply_panels(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, Range panels, Range rows) {
  for (; panels.begin + P <= panels.end; panels.begin += P) PanelProduct<Ops, Shape, P>(w, x, out, panels.begin, rows).run();
  if constexpr (P > 1) multiply_panels<Ops, Shape, P - 1>(w, x, out, panels, rows);
}

/// In blocks of rows that are about equal and end with a full tile.
template <class Ops, class Shape>
void multiply_rows(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, Range panels, Range rows) {
  const size_t count = rows.end - rows.begin, blocks = (count + Shape::kMostRows - 1) / Shape::kMostRows;
  const size_t step = count == 0 ? 1 : (count + blocks * Shape::kRows - 1) / (blocks * Shape::kRows) * Shape::kRows;
  for (size_t m = rows.begin; m < rows.end; m += step)
    multiply_panels<Ops, Shape, Shape::kPanels>(w, x, out, panels, {m, smaller(m + step, rows.end)});
}

/// At most kMostRows rows, in tiles of one panel and at most R rows; reads the weights as they are packed.
template <class D, size_t R>
struct Few {
  using Dot = D;
  static constexpr size_t kMostRows = 16, kMostChunks = SIZE_MAX, kTileChunks = kBlockBytes / D::kChunkBytes, kPanels = 1, kRows = R;
  static constexpr bool kUnpacks = false, kStreams = true;
};

/// More rows, in tiles of at most P panels and R rows, that share a block of weights; `Unpacks` makes them codes that Dot reads.
template <class D, size_t P, size_t R, bool Unpacks>
struct Many {
  using Dot = D;
  static constexpr size_t kMostRows = kBlockRows, kMostChunks = kBlockBytes / (P * D::kChunkBytes), kPanels = P, kRows = R;
  static constexpr size_t kTileChunks = kMostChunks;
  static constexpr bool kUnpacks = Unpacks, kStreams = false;
};

template <class Ops, class Few, class Many>
void multiply(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, Range panels, Range rows) {
  if (rows.end - rows.begin <= Few::kMostRows) return multiply_rows<Ops, Few>(w, x, out, panels, rows);
  multiply_rows<Ops, Many>(w, x, out, panels, rows);
}

}  // namespace
}  // namespace nibble::cpu
