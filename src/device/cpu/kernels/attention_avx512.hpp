#pragma once

// Private to the attention kernels: vectors of AVX-512.

// GCC 12's own definitions of intrinsics start from an undefined register (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include "device/cpu/kernels/attention_vectors.hpp"

namespace nibble::cpu {
namespace {

struct Avx512 {
  using Float = __m512;
  using Int = __m512i;
  struct Factor {
    uint32_t bytes;
  };
  struct SignedInt {
    Int codes;
  };
  struct ShortInts {
    Int pairs;
  };
  static constexpr float kQueryMax = 127, kWeightMax = 255;
  static constexpr bool kRefined = true;
  static constexpr size_t kLanes = 16;
  /// 24 sums, 2 vectors and a factor of 32 registers; a row's factor serves 2 products, a vector 12.
  static constexpr size_t kRows = 12, kColumns = 2;
  /// Of few rows: 16 are 8 and 8.
  static constexpr size_t kFewTile = 8, kCodesTile = 8;

  static __m256i half(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static Float load(const float* p) { return _mm512_loadu_ps(p); }
  static Float load(const Half* p) { return _mm512_cvtph_ps(half(p)); }
  static Float load(const Brain* p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half(p)), 16)); }
  static Int load(const Codes* p) { return _mm512_loadu_si512(p); }
  static SignedInt load(const SignedCodes* p) { return {_mm512_loadu_si512(p)}; }
  static ShortInts load(const Shorts* p) { return {_mm512_loadu_si512(p)}; }
  static void store(float* p, Float x) { _mm512_storeu_ps(p, x); }

  static Float set(float x) { return _mm512_set1_ps(x); }
  static Float spread(const float* p) { return _mm512_set1_ps(*p); }
  static Int spread(const Pair* p) { return _mm512_set1_epi32(static_cast<int>(p->bits)); }
  static Int spread(const Factor* p) { return _mm512_set1_epi32(static_cast<int>(p->bytes)); }
  static Int spread(const Shorts* p) {
    int both;
    memcpy(&both, p, sizeof(both));
    return _mm512_set1_epi32(both);
  }
  static Float dot(Float sum, Float a, Float b) { return _mm512_fmadd_ps(a, b, sum); }
  /// Not by its intrinsic: around that GCC 12 copies every sum in every step.
  static Int dot_bytes(Int sum, Int unsigned_bytes, Int signed_bytes) {
    asm("vpdpbusd %[s], %[u], %[sum]" : [sum] "+v"(sum) : [u] "v"(unsigned_bytes), [s] "v"(signed_bytes));
    return sum;
  }
  static Int dot(Int sum, Int factor, Int codes) { return dot_bytes(sum, codes, factor); }
  static Int dot(Int sum, Int factor, SignedInt codes) { return dot_bytes(sum, factor, codes.codes); }
  static Int dot(Int sum, Int factor, ShortInts shorts) {
    asm("vpdpwssd %[s], %[f], %[sum]" : [sum] "+v"(sum) : [f] "v"(factor), [s] "v"(shorts.pairs));
    return sum;
  }

  static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  static Float max(Float a, Float b) { return _mm512_max_ps(a, b); }
  static Float min(Float a, Float b) { return _mm512_min_ps(a, b); }
  static Float absolute(Float x) { return _mm512_abs_ps(x); }
  /// x - floor(x); 0 for infinities.
  static Float fraction(Float x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
  /// Minimax polynomials of 2^x on [0, 1).
  static Float exp2(Float x) {
    constexpr float kPowers[]{1.0f, 0.69314700f, 0.24022983f, 0.055483341f, 0.0096788406f, 0.0012439688f, 0.00021702255f};
    __mmask16 normal = _mm512_cmp_ps_mask(x, set(-126.0f), _CMP_NLT_UQ);  // denormals make some processors slow
    return _mm512_maskz_scalef_ps(normal, polynomial<Avx512>(kPowers, fraction(x)), x);
  }
  static Float exp2_rough(Float x) {
    constexpr float kPowers[]{0.99992520f, 0.69583356f, 0.22606716f, 0.078024521f};
    return _mm512_scalef_ps(polynomial<Avx512>(kPowers, fraction(x)), x);
  }

  static float greatest(Float x) { return _mm512_reduce_max_ps(x); }
  static float sum(Float x) { return _mm512_reduce_add_ps(x); }
  static bool any_greater(Float a, Float b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
  static Float lane_numbers() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
  /// x in the lanes whose number is in [begin, end).
  static Float between(Float number, float begin, float end, Float x, Float other) {
    __mmask16 low = _mm512_cmp_ps_mask(number, set(begin), _CMP_GE_OQ);
    return _mm512_mask_blend_ps(_mm512_mask_cmp_ps_mask(low, number, set(end), _CMP_LT_OQ), other, x);
  }

  static Float to_float(Int x) { return _mm512_cvtepi32_ps(x); }
  /// Of finite numbers.
  static Float round_to_bf16(Float x) {
    Int bits = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    bits = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-0x10000)));
  }
  /// One of the four codes in each lane.
  static Float code(const SignedCodes* p, size_t which) {
    Int high = _mm512_slli_epi32(load(p).codes, static_cast<unsigned>(24 - 8 * which));
    return to_float(_mm512_srai_epi32(high, 24));
  }
  static Float code(const Codes* p, size_t which) {
    return to_float(_mm512_and_si512(_mm512_srli_epi32(load(p), static_cast<unsigned>(8 * which)), _mm512_set1_epi32(0xff)));
  }
  /// Rounds 16 numbers, which are returned.
  static Float round_to_factors(Factor* out, Float x) {
    Int integers = _mm512_cvtps_epi32(x);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_maskz_cvtepi32_epi8(0xffff, integers));
    return to_float(integers);
  }
  static void store_shorts(Shorts* out, Float x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_maskz_cvtepi32_epi16(0xffff, _mm512_cvtps_epi32(x)));
  }
  static void store_shorts(Shorts* out, Float even, Float odd) {
    Int high = _mm512_slli_epi32(_mm512_cvtps_epi32(odd), 16);
    _mm512_storeu_si512(out, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_cvtps_epi32(even), high));
  }
  static Float round(Float x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Float floor(Float x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
};

}  // namespace
}  // namespace nibble::cpu
