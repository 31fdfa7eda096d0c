#include "compress/quantize_kernels.hpp"

#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "compress/quantize_loops.hpp"

namespace nibble {

namespace {

void widen_f16_plain(const std::byte* p, size_t n, float* out) { quantize_loops::widen_f16(p, n, out); }

#if defined(__x86_64__)
/// The instruction beats what the compiler makes of the loop by ten to one.
__attribute__((target("avx2,f16c"))) void widen_f16_f16c(const std::byte* p, size_t n, float* out) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 2 * i))));
  quantize_loops::widen_f16(p + 2 * i, n - i, out + i);
}
#endif

// One copy of every loop per instruction set.
#define NIBBLE_QUANTIZE_KERNELS(SET, NAME, TARGET, WIDEN_F16)                                                                             \
  struct SET {                                                                                                                            \
    TARGET static void widen_bf16(const std::byte* p, size_t n, float* out) { quantize_loops::widen_bf16(p, n, out); }                    \
    TARGET static void asymmetric(const float* w, size_t groups, size_t size, float levels, uint8_t* codes, float* scales, uint8_t* zp) { \
      quantize_loops::asymmetric(w, groups, size, levels, codes, scales, zp);                                                             \
    }                                                                                                                                     \
    TARGET static void symmetric(const float* w, size_t groups, size_t size, float half, uint8_t* codes, float* scales) {                 \
      quantize_loops::symmetric(w, groups, size, half, codes, scales);                                                                    \
    }                                                                                                                                     \
    TARGET static void encode_asymmetric(const float* w, size_t groups, size_t size, float levels, const float* scales,                   \
                                         const uint8_t* zero_points, uint8_t* codes) {                                                    \
      quantize_loops::encode_asymmetric(w, groups, size, levels, scales, zero_points, codes);                                             \
    }                                                                                                                                     \
    TARGET static void encode_symmetric(const float* w, size_t groups, size_t size, float half, const float* scales, uint8_t* codes) {    \
      quantize_loops::encode_symmetric(w, groups, size, half, scales, codes);                                                             \
    }                                                                                                                                     \
    TARGET static size_t count_not_finite(const float* w, size_t n) { return quantize_loops::count_not_finite(w, n); }                    \
    TARGET static void largest_magnitude(const float* w, size_t groups, size_t size, float* out) {                                        \
      quantize_loops::largest_magnitude(w, groups, size, out);                                                                            \
    }                                                                                                                                     \
    TARGET static void f4e2m1(const float* w, size_t groups, size_t size, const float* scales, uint8_t* codes) {                          \
      quantize_loops::f4e2m1(w, groups, size, scales, codes);                                                                             \
    }                                                                                                                                     \
    TARGET static void f8e4m3(const float* w, size_t groups, size_t size, const float* scales, uint8_t* codes) {                          \
      quantize_loops::f8e4m3(w, groups, size, scales, codes);                                                                             \
    }                                                                                                                                     \
    TARGET static void levels(const float* w, size_t groups, size_t size, const float* scales, const float* thresholds, size_t count,     \
                              uint8_t* codes) {                                                                                           \
      quantize_loops::levels(w, groups, size, scales, thresholds, count, codes);                                                          \
    }                                                                                                                                     \
    TARGET static void pack_nibbles(const uint8_t* codes, size_t n, std::byte* out) { quantize_loops::pack_nibbles(codes, n, out); }      \
    TARGET static double asymmetric_error(const float* w, const uint8_t* codes, size_t n, float scale, uint8_t zp) {                      \
      return quantize_loops::asymmetric_error(w, codes, n, scale, zp);                                                                    \
    }                                                                                                                                     \
    static constexpr QuantizeKernels table{NAME,                                                                                          \
                                           WIDEN_F16,                                                                                     \
                                           widen_bf16,                                                                                    \
                                           asymmetric,                                                                                    \
                                           symmetric,                                                                                     \
                                           encode_asymmetric,                                                                             \
                                           encode_symmetric,                                                                              \
                                           count_not_finite,                                                                              \
                                           largest_magnitude,                                                                             \
                                           f4e2m1,                                                                                        \
                                           f8e4m3,                                                                                        \
                                           levels,                                                                                        \
                                           pack_nibbles,                                                                                  \
                                           asymmetric_error};                                                                             \
  };

NIBBLE_QUANTIZE_KERNELS(Scalar, "scalar", , widen_f16_plain)
#if defined(__x86_64__)
NIBBLE_QUANTIZE_KERNELS(Avx2, "avx2", __attribute__((target("avx2,f16c"))), widen_f16_f16c)
NIBBLE_QUANTIZE_KERNELS(Avx512, "avx512", __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512"))),
                        widen_f16_f16c)
#endif
#undef NIBBLE_QUANTIZE_KERNELS

std::vector<const QuantizeKernels*> detect() {
  std::vector<const QuantizeKernels*> sets{&Scalar::table};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c")) sets.push_back(&Avx2::table);
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    sets.push_back(&Avx512::table);
#endif
  return sets;
}

}  // namespace

const QuantizeKernels& scalar_quantize_kernels() { return Scalar::table; }

std::span<const QuantizeKernels* const> available_quantize_kernels() {
  static const std::vector<const QuantizeKernels*> sets = detect();
  return sets;
}

const QuantizeKernels& quantize_kernels() { return *available_quantize_kernels().back(); }

}  // namespace nibble
