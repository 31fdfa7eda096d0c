// GCC bug 105593: the undefined operands inside immintrin.h's AVX-512 intrinsics are reported.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "device/cpu/kernels/row_ops_vector.hpp"

namespace nibble::cpu {

namespace {

__mmask16 mask_of(First lanes) { return static_cast<__mmask16>((1u << lanes.count) - 1); }

struct Vec {
  static constexpr size_t kWidth = 16;

  __m512 v;

  Vec() = default;
  Vec(__m512 value) : v(value) {}
  explicit Vec(float value) : v(_mm512_set1_ps(value)) {}

  static Vec load(const float* p, All) { return _mm512_loadu_ps(p); }
  static Vec load(const float* p, First lanes) { return _mm512_maskz_loadu_ps(mask_of(lanes), p); }
  void store(float* p, All) const { _mm512_storeu_ps(p, v); }
  void store(float* p, First lanes) const { _mm512_mask_storeu_ps(p, mask_of(lanes), v); }

  /// Every value twice: half as many are read as there are lanes.
  static Vec load_twice(const float* p, All) { return twice(_mm256_loadu_ps(p)); }
  static Vec load_twice(const float* p, First lanes) {
    return twice(_mm256_maskz_loadu_ps(static_cast<__mmask8>((1u << lanes.count / 2) - 1), p));
  }
  static Vec twice(__m256 x) {
    const __m512i pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(x));
  }

  static __m256i load_halves(const uint16_t* p, All) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static __m256i load_halves(const uint16_t* p, First lanes) { return _mm256_maskz_loadu_epi16(mask_of(lanes), p); }
  static void store_halves(__m256i x, uint16_t* p, All) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static void store_halves(__m256i x, uint16_t* p, First lanes) { _mm256_mask_storeu_epi16(p, mask_of(lanes), x); }

  static Vec from_f16(__m256i x) { return _mm512_cvtph_ps(x); }
  __m256i to_f16() const { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Vec from_bf16(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }
  /// vcvtneps2bf16 would lose subnormals.
  __m256i to_bf16() const {
    __m512i bits = _mm512_castps_si512(v), high = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), quiet));
  }
};

Vec operator+(Vec a, Vec b) { return _mm512_add_ps(a.v, b.v); }
Vec operator-(Vec a, Vec b) { return _mm512_sub_ps(a.v, b.v); }
Vec operator*(Vec a, Vec b) { return _mm512_mul_ps(a.v, b.v); }
Vec operator/(Vec a, Vec b) { return _mm512_div_ps(a.v, b.v); }
Vec fused(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
Vec lesser(Vec a, Vec b) { return _mm512_min_ps(a.v, b.v); }
Vec greater(Vec a, Vec b) { return _mm512_max_ps(a.v, b.v); }
Vec square_root(Vec x) { return _mm512_sqrt_ps(x.v); }
Vec select(First lanes, Vec a, Vec b) { return _mm512_mask_mov_ps(b.v, mask_of(lanes), a.v); }

Vec absolute(Vec x) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x.v); }
Vec negative(Vec x) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), x.v); }
Vec with_sign_of(Vec magnitude, Vec x) { return _mm512_or_ps(magnitude.v, _mm512_and_ps(_mm512_set1_ps(-0.0f), x.v)); }

/// x 2^n, rounded once, where n + kRoundingShift is given.
Vec times_power(Vec x, Vec shifted) { return _mm512_scalef_ps(x.v, _mm512_sub_ps(shifted.v, _mm512_set1_ps(kRoundingShift))); }

Vec swapped_pairs(Vec x) { return _mm512_permute_ps(x.v, 0b10110001); }
/// a - b in even lanes, a + b in odd ones.
Vec alternately_subtracted(Vec a, Vec b) { return _mm512_mask_sub_ps(_mm512_add_ps(a.v, b.v), 0x5555, a.v, b.v); }

template <class Join>
float joined_lanes(Vec x, Join join) {
  __m256 eight = join(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  eight = join(eight, _mm256_permute2f128_ps(eight, eight, 1));
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

constexpr RowOps row_ops_avx512vnni = VectorRowOps<Vec>::table("row_ops_avx512vnni");

}  // namespace nibble::cpu
