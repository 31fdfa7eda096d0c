#pragma once

// Private to the attention kernels: vectors of AVX2.

#include <immintrin.h>

#include "device/cpu/kernels/attention_vectors.hpp"

namespace nibble::cpu {
namespace {

struct Avx2 {
  using Float = __m256;
  using Int = __m256i;
  /// What belongs to the first and third code of each four, and to the second and fourth.
  struct TwoInts {
    Int even, odd;
  };
  struct ShortInts {
    Int pairs;
  };
  /// Pairs of 16-bit integers.
  struct Factor {
    uint32_t even, odd;
  };
  static constexpr float kQueryMax = 32767, kWeightMax = 32767;  // sums of 32 products with codes stay below 2^31
  static constexpr bool kRefined = false;
  static constexpr size_t kLanes = 8;
  /// 12 sums, 2 vectors and a factor of 16 registers.
  static constexpr size_t kRows = 6, kColumns = 2;
  static constexpr size_t kFewTile = kRows;
  /// 10 sums, 4 halves of codes, and a factor.
  static constexpr size_t kCodesTile = 5;

  static __m128i half(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static Float load(const float* p) { return _mm256_loadu_ps(p); }
  static Float load(const Half* p) { return _mm256_cvtph_ps(half(p)); }
  static Float load(const Brain* p) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half(p)), 16)); }
  static TwoInts load(const Codes* p) {
    Int four = _mm256_loadu_si256(reinterpret_cast<const Int*>(p));
    return {_mm256_and_si256(four, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(four, 8)};
  }
  static TwoInts load(const SignedCodes* p) {
    Int four = _mm256_loadu_si256(reinterpret_cast<const Int*>(p));
    return {_mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8), _mm256_srai_epi16(four, 8)};
  }
  static void store(float* p, Float x) { _mm256_storeu_ps(p, x); }

  static Float set(float x) { return _mm256_set1_ps(x); }
  static Float spread(const float* p) { return _mm256_broadcast_ss(p); }
  static TwoInts spread(const Factor* p) {
    return {_mm256_set1_epi32(static_cast<int>(p->even)), _mm256_set1_epi32(static_cast<int>(p->odd))};
  }
  static ShortInts load(const Shorts* p) { return {_mm256_loadu_si256(reinterpret_cast<const Int*>(p))}; }
  static Int spread(const Shorts* p) {
    int both;
    memcpy(&both, p, sizeof(both));
    return _mm256_set1_epi32(both);
  }
  static Float dot(Float sum, Float a, Float b) { return _mm256_fmadd_ps(a, b, sum); }
  /// Not by their intrinsics: GCC 12 computes all products of a step before the sums, which then no longer fit the registers.
  static Int dot_shorts(Int sum, Int a, Int b) {
    Int products;
    asm("vpmaddwd %[a], %[b], %[products]\n\tvpaddd %[products], %[sum], %[sum]"
        : [sum] "+x"(sum), [products] "=&x"(products)
        : [a] "x"(a), [b] "x"(b));
    return sum;
  }
  static Int dot(Int sum, TwoInts factor, TwoInts codes) {
    return dot_shorts(dot_shorts(sum, factor.even, codes.even), factor.odd, codes.odd);
  }
  static Int dot(Int sum, Int factor, ShortInts shorts) { return dot_shorts(sum, factor, shorts.pairs); }

  static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  static Float max(Float a, Float b) { return _mm256_max_ps(a, b); }
  static Float min(Float a, Float b) { return _mm256_min_ps(a, b); }
  static Float absolute(Float x) { return _mm256_andnot_ps(set(-0.0f), x); }
  /// Minimax polynomial of 2^x on [-1/2, 1/2]. Adding 1.5 * 2^23 + 127 leaves the biased exponent of the nearest power of 2 in the low
  /// bits; below the normal floats it is 0, which stands for 0.
  static Float exp2(Float x) {
    constexpr float kPowers[]{1.0f, 0.69314718f, 0.24022646f, 0.055503286f, 0.0096184891f, 0.0013399931f, 0.00015345812f};
    x = max(set(-127.0f), x);
    Float shift = set(12583039.0f), power = x + shift;
    Float factor = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(power), 23));
    return polynomial<Avx2>(kPowers, x - (power - shift)) * factor;
  }

  static float greatest(Float x) {
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
  }
  static float sum(Float x) {
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
  }
  static bool any_greater(Float a, Float b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0; }
  static Float lane_numbers() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
  /// x in the lanes whose number is in [begin, end).
  static Float between(Float number, float begin, float end, Float x, Float other) {
    Float inside = _mm256_and_ps(_mm256_cmp_ps(number, set(begin), _CMP_GE_OQ), _mm256_cmp_ps(number, set(end), _CMP_LT_OQ));
    return _mm256_blendv_ps(other, x, inside);
  }

  static Float to_float(Int x) { return _mm256_cvtepi32_ps(x); }
  /// Of finite numbers.
  static Float round_to_bf16(Float x) {
    Int bits = _mm256_castps_si256(x), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    bits = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    return _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(-0x10000)));
  }
  /// One of the four codes in each lane.
  static Float code(const SignedCodes* p, size_t which) {
    Int four = _mm256_loadu_si256(reinterpret_cast<const Int*>(p));
    return to_float(_mm256_srai_epi32(_mm256_slli_epi32(four, static_cast<int>(24 - 8 * which)), 24));
  }
  static Float code(const Codes* p, size_t which) {
    Int four = _mm256_loadu_si256(reinterpret_cast<const Int*>(p));
    return to_float(_mm256_and_si256(_mm256_srli_epi32(four, static_cast<int>(8 * which)), _mm256_set1_epi32(0xff)));
  }
  /// Rounds 8 numbers, which are returned.
  static Float round_to_factors(Factor* out, Float x) {
    Int integers = _mm256_cvtps_epi32(x), parted = _mm256_shuffle_epi32(integers, _MM_SHUFFLE(3, 1, 2, 0));
    __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(parted), _mm256_extracti128_si256(parted, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), narrow);
    return to_float(integers);
  }
  static void store_shorts(Shorts* out, Float x) {
    Int integers = _mm256_cvtps_epi32(x);
    __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(integers), _mm256_extracti128_si256(integers, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), narrow);
  }
  static void store_shorts(Shorts* out, Float even, Float odd) {
    Int high = _mm256_slli_epi32(_mm256_cvtps_epi32(odd), 16);
    _mm256_storeu_si256(reinterpret_cast<Int*>(out), _mm256_blend_epi16(_mm256_cvtps_epi32(even), high, 0xaa));
  }
};

}  // namespace
}  // namespace nibble::cpu
