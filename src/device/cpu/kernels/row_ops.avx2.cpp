#include <immintrin.h>

#include <cstring>

#include "device/cpu/kernels/row_ops_vector.hpp"

namespace nibble::cpu {

namespace {

/// All bits set in the first lanes.
__m256i mask_of(size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

struct Vec {
  static constexpr size_t kWidth = 8;

  __m256 v;

  Vec() = default;
  Vec(__m256 value) : v(value) {}
  explicit Vec(float value) : v(_mm256_set1_ps(value)) {}

  static Vec load(const float* p, All) { return _mm256_loadu_ps(p); }
  static Vec load(const float* p, First lanes) { return _mm256_maskload_ps(p, mask_of(lanes.count)); }
  void store(float* p, All) const { _mm256_storeu_ps(p, v); }
  void store(float* p, First lanes) const { _mm256_maskstore_ps(p, mask_of(lanes.count), v); }

  /// Every value twice: half as many are read as there are lanes.
  static Vec load_twice(const float* p, All) { return twice(_mm_loadu_ps(p)); }
  static Vec load_twice(const float* p, First lanes) { return twice(_mm_maskload_ps(p, _mm256_castsi256_si128(mask_of(lanes.count / 2)))); }
  static Vec twice(__m128 x) { return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(x), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)); }

  static __m128i load_halves(const uint16_t* p, All) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
  static __m128i load_halves(const uint16_t* p, First lanes) {
    alignas(16) uint16_t padded[kWidth] = {};
    std::memcpy(padded, p, lanes.count * sizeof *p);
    return load_halves(padded, All{});
  }
  static void store_halves(__m128i x, uint16_t* p, All) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
  static void store_halves(__m128i x, uint16_t* p, First lanes) {
    alignas(16) uint16_t padded[kWidth];
    store_halves(x, padded, All{});
    std::memcpy(p, padded, lanes.count * sizeof *p);
  }

  static Vec from_f16(__m128i x) { return _mm256_cvtph_ps(x); }
  __m128i to_f16() const { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Vec from_bf16(__m128i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)); }
  __m128i to_bf16() const {
    __m256i bits = _mm256_castps_si256(v), high = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    __m256i chosen = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    return _mm_packus_epi32(_mm256_castsi256_si128(chosen), _mm256_extracti128_si256(chosen, 1));
  }
};

Vec operator+(Vec a, Vec b) { return _mm256_add_ps(a.v, b.v); }
Vec operator-(Vec a, Vec b) { return _mm256_sub_ps(a.v, b.v); }
Vec operator*(Vec a, Vec b) { return _mm256_mul_ps(a.v, b.v); }
Vec operator/(Vec a, Vec b) { return _mm256_div_ps(a.v, b.v); }
Vec fused(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
Vec lesser(Vec a, Vec b) { return _mm256_min_ps(a.v, b.v); }
Vec greater(Vec a, Vec b) { return _mm256_max_ps(a.v, b.v); }
Vec square_root(Vec x) { return _mm256_sqrt_ps(x.v); }
Vec select(First lanes, Vec a, Vec b) { return _mm256_blendv_ps(b.v, a.v, _mm256_castsi256_ps(mask_of(lanes.count))); }

Vec absolute(Vec x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x.v); }
Vec negative(Vec x) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), x.v); }
Vec with_sign_of(Vec magnitude, Vec x) { return _mm256_or_ps(magnitude.v, _mm256_and_ps(_mm256_set1_ps(-0.0f), x.v)); }

__m256 power_of_two(__m256i exponent) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)), 23));
}

/// x 2^n, rounded once, where n + kRoundingShift is given: 2^n may be beyond the range of float, its halves are not.
Vec times_power(Vec x, Vec shifted) {
  __m256i n = _mm256_sub_epi32(_mm256_castps_si256(shifted.v), _mm256_castps_si256(_mm256_set1_ps(kRoundingShift)));
  __m256i half = _mm256_srai_epi32(n, 1);
  return _mm256_mul_ps(_mm256_mul_ps(x.v, power_of_two(half)), power_of_two(_mm256_sub_epi32(n, half)));
}

Vec swapped_pairs(Vec x) { return _mm256_permute_ps(x.v, 0b10110001); }
/// a - b in even lanes, a + b in odd ones.
Vec alternately_subtracted(Vec a, Vec b) { return _mm256_addsub_ps(a.v, b.v); }

template <class Join>
float joined_lanes(Vec x, Join join) {
  __m256 eight = join(x.v, _mm256_permute2f128_ps(x.v, x.v, 1));
  eight = join(eight, _mm256_permute_ps(eight, 0b01001110));
  return _mm256_cvtss_f32(join(eight, _mm256_permute_ps(eight, 0b10110001)));
}
float sum_of_lanes(Vec x) {
  return joined_lanes(x, [](__m256 a, __m256 b) { return _mm256_add_ps(a, b); });
}
float highest_of_lanes(Vec x) {
  return joined_lanes(x, [](__m256 a, __m256 b) { return _mm256_max_ps(a, b); });
}

}  // namespace

constexpr RowOps row_ops_avx2 = VectorRowOps<Vec>::table("row_ops_avx2");

}  // namespace nibble::cpu
