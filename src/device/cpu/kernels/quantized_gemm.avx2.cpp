#include "device/cpu/kernels/quantized_gemm_256.hpp"

// VPMADDUBSW multiplies unsigned weights with signed activations and adds pairs in 16 bits. With 4-bit weights a pair is 2 * 15 * 127 at
// most, so that the 8 pairs of a chunk fit in 16 bits too. 8-bit codes are taken as two of 4 bits.

namespace nibble::cpu {
namespace {

/// Where the activations of R rows are. An address is a pointer and up to two strides, so that an instruction computes it.
template <size_t R>
struct RowPointers {
  const int8_t* every_third[(R + 2) / 3];
  size_t stride;

  template <size_t V>
  RowPointers(const Tile<V>& tile, size_t chunk) : stride(tile.x_stride) {
#pragma GCC unroll 16
    for (size_t i = 0; i < (R + 2) / 3; ++i) {
      every_third[i] = tile.x + 3 * i * stride + chunk * kChunk;
      __asm__("" : "+r"(every_third[i]));  // else g++ computes them from each other again
    }
  }
  const int8_t* operator[](size_t r) const { return every_third[r / 3] + r % 3 * stride; }
};

/// The products of 4 columns, from `column` of the chunk on, in 16 bits; adds them to the sums unless they are the first.
template <size_t V, size_t R>
void add_products(const RowPointers<R>& rows, size_t column, bool first, const Ops::Int (&weights)[V], Ops::Int (&sums)[V][R]) {
#pragma GCC unroll 16
  for (size_t r = 0; r < R; ++r) {
    const Ops::Int x = Ops::broadcast(rows[r] + column);
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
void widen(size_t r, Ops::Int (&sums)[V][R], int16_t factor) {
#pragma GCC unroll 16
  for (size_t v = 0; v < V; ++v) sums[v][r] = Ops::madd(sums[v][r], _mm256_set1_epi16(factor));
}

/// 4-bit codes, one a byte.
struct DotUnpackedU4 {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows;

  template <size_t V, size_t R>
  static void chunk(const Tile<V>& tile, size_t c, Ops::Int (&sums)[V][R]) {
    const RowPointers<R> rows(tile, c);
#pragma GCC unroll 16
    for (size_t j = 0; j < 8; ++j) {
      Ops::Int weights[V];
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) weights[v] = Ops::load_int(tile.codes[v] + c * kChunkBytes + 64 * j);
      add_products<V, R>(rows, 4 * j, j == 0, weights, sums);
    }
  }

  template <size_t V, size_t R>
  static void finish_row(size_t r, Ops::Int (&sums)[V][R]) {
    widen<V, R>(r, sums, 1);
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

  template <size_t V, size_t R>
  static void chunk(const Tile<V>& tile, size_t c, Ops::Int (&sums)[V][R]) {
    const RowPointers<R> rows(tile, c);
#pragma GCC unroll 16
    for (size_t j = 0; j < 4; ++j) {
      Ops::Int low[V], high[V];
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) {
        const Ops::Int pairs = Ops::load_int(tile.codes[v] + c * kChunkBytes + 64 * j);
        low[v] = Ops::low_nibbles(pairs), high[v] = Ops::high_nibbles(pairs);
      }
      add_products<V, R>(rows, 8 * j, j == 0, low, sums);
      add_products<V, R>(rows, 8 * j + 4, false, high, sums);
    }
  }

  template <size_t V, size_t R>
  static void finish_row(size_t r, Ops::Int (&sums)[V][R]) {
    widen<V, R>(r, sums, 1);
  }
};

/// 8-bit codes as 16 * high + low. `Unpacked`: 64 bytes of low halves before 64 bytes of high halves, instead of 64 codes.
template <bool Unpacked>
struct DotU8 {
  static constexpr size_t kChunkBytes = kChunk * kPanelRows * (Unpacked ? 2 : 1);

  template <size_t V, size_t R>
  static void chunk(const Tile<V>& tile, size_t c, Ops::Int (&sums)[V][R]) {
    const RowPointers<R> rows(tile, c);
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
      add_products<V, R>(rows, 4 * j, j == 0, low, sums);
      add_products<V, R>(rows, 4 * j, j == 0, high, highs);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < R; ++r) {
      widen<V, R>(r, sums, 1);
      widen<V, R>(r, highs, 16);
#pragma GCC unroll 16
      for (size_t v = 0; v < V; ++v) sums[v][r] = _mm256_add_epi32(sums[v][r], highs[v][r]);
    }
  }

  template <size_t V, size_t R>
  static void finish_row(size_t, Ops::Int (&)[V][R]) {}

  static void unpack(const std::byte* codes, size_t chunks, uint8_t* out) {
    for (size_t i = 0; i < chunks * 8; ++i)
      for (size_t half = 0; half < 64; half += 32) {
        const Ops::Int pairs = Ops::load_int(codes + 64 * i + half);
        Ops::store_int(out + 128 * i + half, Ops::low_nibbles(pairs));
        Ops::store_int(out + 128 * i + 64 + half, Ops::high_nibbles(pairs));
      }
  }
};

// Of 16 registers, 6 rows by the 2 halves of a panel take 12 for the sums of 4-bit codes, and 4 are for weights, activations and products.
// 8-bit codes take 2 rows, as each half of a code has its own sums; 3 are slower. The sums of groups are mostly in memory, which costs a
// load and a store for 8 products.
using FewU4 = Few<DotU4, 6>;
using FewU8 = Few<DotU8<false>, 2>;
using ManyU4 = Many<DotUnpackedU4, 1, 6, true>;
using ManyU8 = Many<DotU8<true>, 1, 2, true>;

}  // namespace

constinit const QuantizedGemm kQuantizedGemmU4Avx2{"gemm_q8_u4_16x6_avx2", 1, quantize<Ops>, multiply<Ops, FewU4, ManyU4>};
constinit const QuantizedGemm kQuantizedGemmU8Avx2{"gemm_q8_u8_16x2_avx2", 1, quantize<Ops>, multiply<Ops, FewU8, ManyU8>};

}  // namespace nibble::cpu
