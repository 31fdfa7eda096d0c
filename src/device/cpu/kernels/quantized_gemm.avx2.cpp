#include "device/cpu/kernels/quantized_gemm_256.hpp"

// VPMADDUBSW multiplies unsigned weights with signed activations and adds pairs in 16 bits. With 4-bit weights a pair is 2 * 15 * 127 at
// most, so that the 8 pairs of a chunk fit in 16 bits too. 8-bit codes are taken as two of 4 bits.

namespace nibble::cpu {
namespace {

/// Adds the zero point's part, -zero point * sum of activations.
template <size_t V, size_t R, bool Shared>
void add_zero_points(const Tile<V>& tile, size_t c, const Ops::Int (&zeros)[V], Ops::Int (&sums)[V][R]) {
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r) {
    const Ops::Int sum = Ops::broadcast(tile.x_sums + r * tile.x_chunks + c);
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) sums[v][r] = _mm256_add_epi32(sums[v][r], Shared ? sum : Ops::madd(sum, zeros[v]));
  }
}

/// The products of 4 columns, from `column` on, in 16 bits; adds them to the sums unless they are the first.
template <size_t V, size_t R>
void add_products(const Tile<V>& tile, size_t column, bool first, const Ops::Int (&weights)[V], Ops::Int (&sums)[V][R]) {
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r) {
    const Ops::Int x = Ops::broadcast(tile.x + r * tile.x_stride + column);
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) {
      const Ops::Int products = _mm256_maddubs_epi16(weights[v], x);
      sums[v][r] = first ? products : _mm256_add_epi16(sums[v][r], products);
      // An addition like any other to g++, which would make a tree of all of them, far beyond the registers.
      __asm__("" : "+x"(sums[v][r]));
    }
  }
}

template <size_t V, size_t R>
void widen(Ops::Int (&sums)[V][R], int16_t factor) {
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (size_t v = 0; v < V; ++v) sums[v][r] = Ops::madd(sums[v][r], _mm256_set1_epi16(factor));
}

/// 4-bit codes, one a byte.
struct DotUnpackedU4 {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows;

  template <size_t V, size_t R, bool Shared>
  static void chunk(const Tile<V>& tile, size_t c, const Ops::Int (&zeros)[V], Ops::Int (&sums)[V][R]) {
#pragma GCC unroll 16
    for (size_t j = 0; j < 8; ++j) {
      Ops::Int weights[V];
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) weights[v] = Ops::load_int(tile.codes[v] + c * kChunkBytes + 64 * j);
      add_products<V, R>(tile, c * kChunk + 4 * j, j == 0, weights, sums);
    }
    widen<V, R>(sums, 1);
    add_zero_points<V, R, Shared>(tile, c, zeros, sums);
  }

  static void unpack(const std::byte* codes, size_t chunks, uint8_t* out) {
    for (size_t i = 0; i < chunks * 4; ++i)
      for (size_t half = 0; half < 64; half += 32) {
        const Ops::Int pairs = Ops::load_int(codes + 64 * i + half);
        Ops::store_int(out + 128 * i + half, Ops::low_nibbles(pairs));
        Ops::store_int(out + 128 * i + 64 + half, Ops::high_nibbles(pairs));
      }
  }
};

struct DotU4 {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows / 2;

  template <size_t V, size_t R, bool Shared>
  static void chunk(const Tile<V>& tile, size_t c, const Ops::Int (&zeros)[V], Ops::Int (&sums)[V][R]) {
#pragma GCC unroll 16
    for (size_t j = 0; j < 4; ++j) {
      Ops::Int low[V], high[V];
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) {
        const Ops::Int pairs = Ops::load_int(tile.codes[v] + c * kChunkBytes + 64 * j);
        low[v] = Ops::low_nibbles(pairs), high[v] = Ops::high_nibbles(pairs);
      }
      add_products<V, R>(tile, c * kChunk + 8 * j, j == 0, low, sums);
      add_products<V, R>(tile, c * kChunk + 8 * j + 4, false, high, sums);
    }
    widen<V, R>(sums, 1);
    add_zero_points<V, R, Shared>(tile, c, zeros, sums);
  }
};

/// 8-bit codes as 16 * high + low. `Unpacked`: 64 bytes of low halves before 64 bytes of high halves, instead of 64 codes.
template <bool Unpacked>
struct DotU8 {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows * (Unpacked ? 2 : 1);

  template <size_t V, size_t R, bool Shared>
  static void chunk(const Tile<V>& tile, size_t c, const Ops::Int (&zeros)[V], Ops::Int (&sums)[V][R]) {
    Ops::Int highs[V][R];
#pragma GCC unroll 16
    for (size_t j = 0; j < 8; ++j) {
      Ops::Int low[V], high[V];
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) {
        const uint8_t* codes = tile.codes[v] + c * kChunkBytes + (Unpacked ? 128 : 64) * j;
        const Ops::Int first = Ops::load_int(codes);
        low[v] = Unpacked ? first : Ops::low_nibbles(first);
        high[v] = Unpacked ? Ops::load_int(codes + 64) : Ops::high_nibbles(first);
      }
      add_products<V, R>(tile, c * kChunk + 4 * j, j == 0, low, sums);
      add_products<V, R>(tile, c * kChunk + 4 * j, j == 0, high, highs);
    }
    widen<V, R>(sums, 1);
    widen<V, R>(highs, 16);
#pragma GCC unroll 16
    for (size_t r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) sums[v][r] = _mm256_add_epi32(sums[v][r], highs[v][r]);
    add_zero_points<V, R, Shared>(tile, c, zeros, sums);
  }

  static void unpack(const std::byte* codes, size_t chunks, uint8_t* out) {
    for (size_t i = 0; i < chunks * 8; ++i)
      for (size_t half = 0; half < 64; half += 32) {
        const Ops::Int pairs = Ops::load_int(codes + 64 * i + half);
        Ops::store_int(out + 128 * i + half, Ops::low_nibbles(pairs));
        Ops::store_int(out + 128 * i + 64 + half, Ops::high_nibbles(pairs));
      }
  }
};

// Of 16 registers, 4 rows by the 2 halves of a panel take 8 for the sums (8-bit codes: 2 rows, as each half of a code has its own), and 2
// or 4 are for weights; the sums of groups are mostly in memory, which costs a load and a store for 8 products. Other tiles (3 x 2, 5 x 2,
// 2 x 4, 3 x 4 and for 8-bit codes 3 x 2) are no faster.
using FewU4 = Few<DotU4, 4>;
using FewU8 = Few<DotU8<false>, 2>;
using ManyU4 = Many<DotUnpackedU4, 1, 4, true>;
using ManyU8 = Many<DotU8<true>, 1, 2, true>;

}  // namespace

constinit const QuantizedGemm kQuantizedGemmU4Avx2{"gemm_q8_u4_16x4_avx2", 1, quantize<Ops>, multiply<Ops, FewU4, ManyU4>};
constinit const QuantizedGemm kQuantizedGemmU8Avx2{"gemm_q8_u8_16x2_avx2", 1, quantize<Ops>, multiply<Ops, FewU8, ManyU8>};

}  // namespace nibble::cpu
