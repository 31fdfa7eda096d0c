#include <immintrin.h>

#include "device/cpu/kernels/float_gemm_isa.hpp"
#include "device/cpu/kernels/float_gemm_kernels.hpp"

namespace nibble::cpu {
namespace {

/// Vectors of 16 lanes as two registers.
struct Avx2 {
  struct Floats {
    __m256 low, high;
  };
  struct Ints {
    __m256i low, high;
  };
  struct Levels {
    __m256 low, high;  ///< levels 0 .. 7 and 8 .. 15
  };
  // 12 sums, 2 vectors of weights and the activation in 16 registers.
  static constexpr size_t kTileRows = 6, kTilePanels = 1, kFewPanels = 2;

  static Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Floats broadcast(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static Floats load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
  static void store(float* to, Floats v) {
    _mm256_storeu_ps(to, v.low);
    _mm256_storeu_ps(to + 8, v.high);
  }
  static Floats load_f16(const std::byte* from) {
    auto half = reinterpret_cast<const __m128i*>(from);
    return {_mm256_cvtph_ps(_mm_loadu_si128(half)), _mm256_cvtph_ps(_mm_loadu_si128(half + 1))};
  }
  static Floats from_bytes(const uint8_t* from) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
  }
  static Floats add(Floats a, Floats b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static Floats subtract(Floats a, Floats b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  static Floats multiply(Floats a, Floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static Floats multiply_add(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }

  static Ints load_ints(const std::byte* from) {
    auto half = reinterpret_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(half), _mm256_loadu_si256(half + 1)};
  }
  static Floats as_floats(Ints v) { return {_mm256_castsi256_ps(v.low), _mm256_castsi256_ps(v.high)}; }
  template <int bits>
  static Ints shift_right(Ints v) {
    return {_mm256_srli_epi32(v.low, bits), _mm256_srli_epi32(v.high, bits)};
  }
  template <int bits>
  static Ints shift_right_signed(Ints v) {
    return {_mm256_srai_epi32(v.low, bits), _mm256_srai_epi32(v.high, bits)};
  }
  template <int bits>
  static Ints shift_left(Ints v) {
    return {_mm256_slli_epi32(v.low, bits), _mm256_slli_epi32(v.high, bits)};
  }
  template <uint32_t mask>
  static Ints bits_and(Ints v) {
    __m256i bits = _mm256_set1_epi32(static_cast<int>(mask));
    return {_mm256_and_si256(v.low, bits), _mm256_and_si256(v.high, bits)};
  }
  /// (v & mask) | the bits of anchor
  template <uint32_t mask>
  static Floats insert(Ints v, float anchor) {
    auto with = _mm256_set1_ps(anchor);
    auto kept = as_floats(bits_and<mask>(v));
    return {_mm256_or_ps(kept.low, with), _mm256_or_ps(kept.high, with)};
  }

  static Levels load_levels(const float* levels) { return {_mm256_loadu_ps(levels), _mm256_loadu_ps(levels + 8)}; }
  /// The level of the 4-bit index at bit `bit`: the lower three bits select in both halves, the highest selects the half.
  template <int bit>
  static __m256 level(__m256i v, Levels levels) {
    __m256i index = bit ? _mm256_srli_epi32(v, bit) : v;
    __m256 half = _mm256_castsi256_ps(bit < 28 ? _mm256_slli_epi32(v, 28 - bit) : v);
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(levels.low, index), _mm256_permutevar8x32_ps(levels.high, index), half);
  }
  template <int bit>
  static Floats level(Ints v, Levels levels) {
    return {level<bit>(v.low, levels), level<bit>(v.high, levels)};
  }
};

constexpr FloatGemm kKernels[] = {
    {"gemm_f32_u4_16x6_avx2", multiply<Avx2, CodeType::u4>},         {"gemm_f32_u8_16x6_avx2", multiply<Avx2, CodeType::u8>},
    {"gemm_f32_level4_16x6_avx2", multiply<Avx2, CodeType::level4>}, {"gemm_f32_f8e4m3_16x6_avx2", multiply<Avx2, CodeType::f8e4m3>},
    {"gemm_f32_f16_16x6_avx2", multiply<Avx2, CodeType::f16>},       {"gemm_f32_bf16_16x6_avx2", multiply<Avx2, CodeType::bf16>},
    {"gemm_f32_f32_16x6_avx2", multiply<Avx2, CodeType::f32>},
};

}  // namespace

const FloatGemm& float_gemm_avx2(CodeType type) { return kKernels[static_cast<size_t>(type)]; }

}  // namespace nibble::cpu
