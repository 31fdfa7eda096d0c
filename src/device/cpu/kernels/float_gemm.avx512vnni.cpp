// g++ 12 takes the undefined operand of unmasked intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include <immintrin.h>

#include "device/cpu/kernels/float_gemm_isa.hpp"
#include "device/cpu/kernels/float_gemm_kernels.hpp"

namespace nibble::cpu {
namespace {

struct Avx512 {
  using Floats = __m512;
  using Ints = __m512i;
  using Levels = __m512;
  static constexpr size_t kLanes = 16;
  // 24 sums, 2 vectors of weights and the activation in 32 registers.
  /// Rows up to which decoding in registers beats decoding into a block that the rows share.
  static constexpr size_t kFewRows = 8;
  static constexpr size_t kTileRows = 12, kTilePanels = 2, kFewPanels = 4;

  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats broadcast(float value) { return _mm512_set1_ps(value); }
  static Floats load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Floats v) { _mm512_storeu_ps(to, v); }
  static Floats load_f16(const std::byte* from) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))); }
  static Floats from_bytes(const uint8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

  static Ints load_ints(const std::byte* from) { return _mm512_loadu_si512(from); }
  static Floats as_floats(Ints v) { return _mm512_castsi512_ps(v); }
  template <int bits>
  static Ints shift_right(Ints v) {
    return _mm512_srli_epi32(v, bits);
  }
  template <int bits>
  static Ints shift_right_signed(Ints v) {
    return _mm512_srai_epi32(v, bits);
  }
  template <int bits>
  static Ints shift_left(Ints v) {
    return bits ? _mm512_slli_epi32(v, bits) : v;
  }
  template <uint32_t mask>
  static Ints bits_and(Ints v) {
    return _mm512_and_si512(v, _mm512_set1_epi32(static_cast<int>(mask)));
  }
  /// (v & mask) | the bits of anchor
  template <uint32_t mask>
  static Floats insert(Ints v, float anchor) {
    constexpr int kAndOr = 0xea;
    auto with = _mm512_castps_si512(_mm512_set1_ps(anchor));
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(v, _mm512_set1_epi32(static_cast<int>(mask)), with, kAndOr));
  }

  static Levels load_levels(const float* levels) { return _mm512_loadu_ps(levels); }
  /// The level of the 4-bit index at bit `bit`.
  template <int bit>
  static Floats level(Ints v, Levels levels) {
    return _mm512_permutexvar_ps(bit ? _mm512_srli_epi32(v, bit) : v, levels);
  }
};

/// With one zero point for all, codes are looked up in a table of what is left of them: an operation less than subtracting.
void multiply_u4(const PackedMatrix& w, const float* x, size_t x_stride, const GemmOutput& out, Range panels, Range rows) {
  if (w.zero_points) return multiply<Avx512, CodeType::u4>(w, x, x_stride, out, panels, rows);
  float levels[16];
  for (int code = 0; code < 16; ++code) levels[code] = static_cast<float>(code - w.zero_point);
  PackedMatrix table = w;
  table.code_type = CodeType::level4;
  table.levels = levels;
  multiply<Avx512, CodeType::level4>(table, x, x_stride, out, panels, rows);
}

constexpr FloatGemm kKernels[] = {
    {"gemm_f32_u4_32x12_avx512vnni", multiply_u4},
    {"gemm_f32_u8_32x12_avx512vnni", multiply<Avx512, CodeType::u8>},
    {"gemm_f32_level4_32x12_avx512vnni", multiply<Avx512, CodeType::level4>},
    {"gemm_f32_f8e4m3_32x12_avx512vnni", multiply<Avx512, CodeType::f8e4m3>},
    {"gemm_f32_f16_32x12_avx512vnni", multiply<Avx512, CodeType::f16>},
    {"gemm_f32_bf16_32x12_avx512vnni", multiply<Avx512, CodeType::bf16>},
    {"gemm_f32_f32_32x12_avx512vnni", multiply<Avx512, CodeType::f32>},
};

}  // namespace

const FloatGemm& float_gemm_avx512vnni(CodeType type) { return kKernels[static_cast<size_t>(type)]; }

}  // namespace nibble::cpu
