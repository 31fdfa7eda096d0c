// g++ 12 takes the undefined operand of unmasked intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

#include "device/cpu/kernels/quantize_rows.hpp"
#include "device/cpu/kernels/quantized_gemm_vnni.hpp"

namespace nibble::cpu {
namespace {

struct Ops {
  using Int = __m512i;
  using Float = __m512;
  static constexpr size_t kLanes = 16;

  static Float zero() { return _mm512_setzero_ps(); }
  static Int zero_int() { return _mm512_setzero_si512(); }
  static Float load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Float v) { _mm512_storeu_ps(p, v); }
  static Int load_int(const void* p) { return _mm512_loadu_si512(p); }
  static void store_int(void* p, Int v) { _mm512_storeu_si512(p, v); }
  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  static Float to_float(Int v) { return _mm512_cvtepi32_ps(v); }
  static Float broadcast_float(const float* p) { return _mm512_set1_ps(*p); }
  static Int broadcast(const void* p) {
    int32_t value;
    memcpy(&value, p, sizeof value);
    return _mm512_set1_epi32(value);
  }
  static Float scales(const std::byte* p, ScaleType type) {
    if (type == ScaleType::f32) return _mm512_loadu_ps(p);
    if (type == ScaleType::f16) return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_set1_ps(1);
  }
  static Int low_nibbles(Int v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
  static Int high_nibbles(Int v) { return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15)); }
  static Int dot(Int sum, Int weights, Int x) { return _mm512_dpbusd_epi32(sum, weights, x); }

  static Int largest(Int so_far, const float* x) {
    return _mm512_max_epi32(so_far, _mm512_and_si512(_mm512_loadu_si512(x), _mm512_set1_epi32(0x7fffffff)));
  }
  static uint32_t reduce_max(Int v) { return static_cast<uint32_t>(_mm512_reduce_max_epi32(v)); }
  static int32_t reduce_add(Int v) { return _mm512_reduce_add_epi32(v); }
  /// Writes the codes of a chunk; gives numbers whose sum is that of the codes.
  static Int encode(const float* x, float inverse, int8_t* codes) {
    const Int low = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(inverse)));
    const Int high = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + kLanes), _mm512_set1_ps(inverse)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes), _mm512_cvtepi32_epi8(low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + kLanes), _mm512_cvtepi32_epi8(high));
    return _mm512_add_epi32(low, high);
  }
  /// -zero points.
  static Float negated(const uint8_t* p) {
    return to_float(_mm512_sub_epi32(zero_int(), _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))));
  }
};

// 8 x 1 or 4 x 3 sums, and as many of the groups, of 32 registers: the latency of VPDPBUSD (4-5 cycles) times its throughput (2 a cycle at
// most) asks for 10 at least, and 4 x 3 takes the fewest loads, 7 for 12 products.
using FewU4 = Few<DotU4<Ops>, 8>;
using FewU8 = Few<DotU8<Ops>, 8>;
using ManyU4 = Many<DotU8<Ops>, 3, 4, true>;
using ManyU8 = Many<DotU8<Ops>, 3, 4, false>;

}  // namespace

constinit const QuantizedGemm kQuantizedGemmU4Avx512vnni{"gemm_q8_u4_48x4_avx512vnni", 3, quantize<Ops>, multiply<Ops, FewU4, ManyU4>};
constinit const QuantizedGemm kQuantizedGemmU8Avx512vnni{"gemm_q8_u8_48x4_avx512vnni", 3, quantize<Ops>, multiply<Ops, FewU8, ManyU8>};

}  // namespace nibble::cpu
