#pragma once

#include "device/cpu/kernels/quantize_rows.hpp"
#include "device/cpu/kernels/quantized_gemm_blocks.hpp"

// Operations on 256-bit registers: 8 weight rows, half a panel. Everything is local to the file that includes it.

namespace nibble::cpu {
namespace {

struct Ops {
  using Int = __m256i;
  using Float = __m256;
  static constexpr size_t kLanes = 8;

  static Float zero() { return _mm256_setzero_ps(); }
  static Int zero_int() { return _mm256_setzero_si256(); }
  static Float load(const float* p) { return _mm256_loadu_ps(p); }
  static Int load_int(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static void store(float* p, Float v) { _mm256_storeu_ps(p, v); }
  static void store_int(void* p, Int v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
  static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  static Float to_float(Int v) { return _mm256_cvtepi32_ps(v); }
  static Float broadcast_float(const float* p) { return _mm256_broadcast_ss(p); }
  static Int broadcast(const void* p) {
    int32_t value;
    memcpy(&value, p, sizeof value);
    return _mm256_set1_epi32(value);
  }
  static Float scales(const std::byte* p, ScaleType type) {
    if (type == ScaleType::f32) return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
    if (type == ScaleType::f16) return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_set1_ps(1);
  }
  /// -zero points.
  static Float negated(const uint8_t* p) {
    return to_float(_mm256_sub_epi32(zero_int(), _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))));
  }
  static Int madd(Int a, Int b) { return _mm256_madd_epi16(a, b); }
  static Int low_nibbles(Int v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
  static Int high_nibbles(Int v) { return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15)); }

  static Int largest(Int so_far, const float* x) {
    return _mm256_max_epi32(so_far, _mm256_and_si256(load_int(x), _mm256_set1_epi32(0x7fffffff)));
  }
  static uint32_t reduce_max(Int v) {
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1))));
  }
  static int32_t reduce_add(Int v) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
  }
  /// Writes the codes of a chunk; gives numbers whose sum is that of the codes.
  static Int encode(const float* x, float inverse, int8_t* codes) {
    Int q[4];
    for (size_t i = 0; i < 4; ++i) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(load(x + i * kLanes), _mm256_set1_ps(inverse)));
    const Int bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    store_int(codes, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
    return _mm256_add_epi32(_mm256_add_epi32(q[0], q[1]), _mm256_add_epi32(q[2], q[3]));
  }
};

}  // namespace
}  // namespace nibble::cpu
