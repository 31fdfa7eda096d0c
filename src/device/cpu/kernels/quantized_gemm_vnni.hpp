#pragma once

#include "device/cpu/kernels/quantized_gemm_blocks.hpp"

// Products with VPDPBUSD: unsigned weights, signed activations, added up in 32 bits. Everything is local to the file that includes it.

namespace nibble::cpu {
namespace {

/// Adds the products of 4 columns, from `column` of the tile on.
template <class Ops, size_t V, size_t R>
void add_products(const Tile<V>& tile, size_t column, const typename Ops::Int (&weights)[V], typename Ops::Int (&sums)[V][R]) {
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r) {
    const typename Ops::Int x = Ops::broadcast(tile.x + r * tile.x_stride + column);
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) sums[v][r] = Ops::dot(sums[v][r], weights[v], x);
  }
}

template <class Ops, size_t V, size_t R>
void clear(typename Ops::Int (&sums)[V][R]) {
#pragma GCC unroll 16
  for (size_t v = 0; v < V; ++v)
#pragma GCC unroll 16
    for (size_t r = 0; r < R; ++r) sums[v][r] = Ops::zero_int();
}

/// Sums that are complete when their products are added.
template <class Ops>
struct CompleteSums {
  template <size_t V, size_t R>
  static void finish_row(size_t, typename Ops::Int (&)[V][R]) {}
};

/// Codes of a byte each.
template <class Ops>
struct DotU8 : CompleteSums<Ops> {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows;

  template <size_t V, size_t R>
  static void chunk(const Tile<V>& tile, size_t c, typename Ops::Int (&sums)[V][R]) {
    clear<Ops, V, R>(sums);
#pragma GCC unroll 16
    for (size_t j = 0; j < 8; ++j) {
      typename Ops::Int weights[V];
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) weights[v] = Ops::load_int(tile.codes[v] + c * kChunkBytes + 64 * j);
      add_products<Ops, V, R>(tile, c * kChunk + 4 * j, weights, sums);
    }
  }

  /// From 4-bit codes.
  static void unpack(const std::byte* codes, size_t chunks, uint8_t* out) {
    for (size_t i = 0; i < chunks * 4; ++i)
      for (size_t part = 0; part < 64; part += sizeof(typename Ops::Int)) {
        const typename Ops::Int pairs = Ops::load_int(codes + 64 * i + part);
        Ops::store_int(out + 128 * i + part, Ops::low_nibbles(pairs));
        Ops::store_int(out + 128 * i + 64 + part, Ops::high_nibbles(pairs));
      }
  }
};

template <class Ops>
struct DotU4 : CompleteSums<Ops> {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows / 2;

  template <size_t V, size_t R>
  static void chunk(const Tile<V>& tile, size_t c, typename Ops::Int (&sums)[V][R]) {
    clear<Ops, V, R>(sums);
#pragma GCC unroll 16
    for (size_t j = 0; j < 4; ++j) {
      typename Ops::Int low[V], high[V];
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) {
        const typename Ops::Int pairs = Ops::load_int(tile.codes[v] + c * kChunkBytes + 64 * j);
        low[v] = Ops::low_nibbles(pairs), high[v] = Ops::high_nibbles(pairs);
      }
      add_products<Ops, V, R>(tile, c * kChunk + 8 * j, low, sums);
      add_products<Ops, V, R>(tile, c * kChunk + 8 * j + 4, high, sums);
    }
  }
};

}  // namespace
}  // namespace nibble::cpu
