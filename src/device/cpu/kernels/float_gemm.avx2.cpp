#include <immintrin.h>

#include "device/cpu/kernels/float_gemm_isa.hpp"
#include "device/cpu/kernels/float_gemm_kernels.hpp"

namespace nibble::cpu {
namespace {

struct Avx2 {
  using Floats = __m256;
  using Ints = __m256i;
  struct Levels {
    __m256 low, high;  ///< levels 0 .. 7 and 8 .. 15
  };
  static constexpr size_t kLanes = 8;
  // 12 sums, 2 vectors of weights and the activation in 16 registers.
  /// Rows up to which decoding in registers beats decoding into a block that the rows share.
  static constexpr size_t kFewRows = 6;
  static constexpr size_t kTileRows = 6, kTilePanels = 1, kFewPanels = 2;

  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats broadcast(float value) { return _mm256_set1_ps(value); }
  static Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Floats v) { _mm256_storeu_ps(to, v); }
  static Floats load_f16(const std::byte* from) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))); }
  static Floats from_bytes(const uint8_t* from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

  static Ints load_ints(const std::byte* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static Floats as_floats(Ints v) { return _mm256_castsi256_ps(v); }
  template <int bits>
  static Ints shift_right(Ints v) {
    return _mm256_srli_epi32(v, bits);
  }
  template <int bits>
  static Ints shift_right_signed(Ints v) {
    return _mm256_srai_epi32(v, bits);
  }
  template <int bits>
  static Ints shift_left(Ints v) {
    return bits ? _mm256_slli_epi32(v, bits) : v;
  }
  template <uint32_t mask>
  static Ints bits_and(Ints v) {
    return _mm256_and_si256(v, _mm256_set1_epi32(static_cast<int>(mask)));
  }
  /// (v & mask) | the bits of anchor
  template <uint32_t mask>
  static Floats insert(Ints v, float anchor) {
    return _mm256_or_ps(as_floats(bits_and<mask>(v)), _mm256_set1_ps(anchor));
  }

  static Levels load_levels(const float* levels) { return {_mm256_loadu_ps(levels), _mm256_loadu_ps(levels + 8)}; }
  /// The level of the 4-bit index at bit `bit`: the lower three bits select in both halves, the highest selects the half.
  template <int bit>
  static Floats level(Ints v, Levels levels) {
    Ints index = bit ? _mm256_srli_epi32(v, bit) : v;
    Floats half = as_floats(bit < 28 ? _mm256_slli_epi32(v, 28 - bit) : v);
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(levels.low, index), _mm256_permutevar8x32_ps(levels.high, index), half);
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
