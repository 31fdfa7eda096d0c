#include "base/peak_loops.hpp"

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/vector_clones.hpp"

namespace nibble {

namespace {

// Enough independent chains to cover the latency (4-5 cycles) times throughput (2 a cycle) of a fused multiply-add.
constexpr size_t kChains = 10;

#if defined(__x86_64__)

__attribute__((target("avx512f"))) double fma_avx512(size_t iterations, double& result) {
  __m512 sums[kChains], factor = _mm512_set1_ps(0.999f);
  for (auto& s : sums) s = _mm512_set1_ps(1.0f);
  for (size_t i = 0; i < iterations; ++i)
    for (auto& s : sums) s = _mm512_fmadd_ps(s, factor, factor);
  for (auto& s : sums) result += static_cast<double>(_mm512_cvtss_f32(s));
  return static_cast<double>(iterations) * kChains * 16;
}

__attribute__((target("avx2,fma"))) double fma_avx2(size_t iterations, double& result) {
  __m256 sums[kChains], factor = _mm256_set1_ps(0.999f);
  for (auto& s : sums) s = _mm256_set1_ps(1.0f);
  for (size_t i = 0; i < iterations; ++i)
    for (auto& s : sums) s = _mm256_fmadd_ps(s, factor, factor);
  for (auto& s : sums) result += static_cast<double>(_mm256_cvtss_f32(s));
  return static_cast<double>(iterations) * kChains * 8;
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) double dot_avx512vnni(size_t iterations, double& result) {
  __m512i sums[kChains], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(2);
  for (auto& s : sums) s = _mm512_setzero_si512();
  for (size_t i = 0; i < iterations; ++i)
    for (auto& s : sums) s = _mm512_dpbusd_epi32(s, a, b);
  for (auto& s : sums) result += _mm512_cvtsi512_si32(s);
  return static_cast<double>(iterations) * kChains * 64;
}

__attribute__((target("avx512f,avx512bf16"))) double dot_avx512bf16(size_t iterations, double& result) {
  __m512 sums[kChains];
  auto ones = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));
  for (auto& s : sums) s = _mm512_set1_ps(1.0f);
  for (size_t i = 0; i < iterations; ++i)
    for (auto& s : sums) s = _mm512_dpbf16_ps(s, ones, ones);
  for (auto& s : sums) result += static_cast<double>(_mm512_cvtss_f32(s));
  return static_cast<double>(iterations) * kChains * 32;
}

__attribute__((target("avx2,avxvnni"))) double dot_avx2vnni(size_t iterations, double& result) {
  __m256i sums[kChains], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(2);
  for (auto& s : sums) s = _mm256_setzero_si256();
  for (size_t i = 0; i < iterations; ++i)
    for (auto& s : sums) s = _mm256_dpbusd_avx_epi32(s, a, b);
  for (auto& s : sums) result += _mm256_cvtsi256_si32(s);
  return static_cast<double>(iterations) * kChains * 32;
}

__attribute__((target("avx2"))) double dot8_avx2(size_t iterations, double& result) {
  __m256i sums[kChains], a = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
  for (size_t i = 0; i < kChains; ++i) sums[i] = _mm256_set1_epi8(static_cast<char>(i));
  for (size_t i = 0; i < iterations; ++i)
    for (auto& s : sums) s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(a, s), ones));
  for (auto& s : sums) result += _mm256_cvtsi256_si32(s);
  return static_cast<double>(iterations) * kChains * 32;
}

// Products of 4-bit numbers can be added in 16 bits.
__attribute__((target("avx2"))) double dot4_avx2(size_t iterations, double& result) {
  __m256i sums[kChains], a = _mm256_set1_epi8(3);
  for (size_t i = 0; i < kChains; ++i) sums[i] = _mm256_set1_epi8(static_cast<char>(i));
  for (size_t i = 0; i < iterations; ++i)
    for (auto& s : sums) s = _mm256_add_epi16(s, _mm256_maddubs_epi16(a, s));
  for (auto& s : sums) result += _mm256_cvtsi256_si32(s);
  return static_cast<double>(iterations) * kChains * 32;
}

#endif

double fma_scalar(size_t iterations, double& result) {
  float sums[kChains];
  for (float& s : sums) s = 1.0f;
  for (size_t i = 0; i < iterations; ++i)
    for (float& s : sums) s = s * 0.999f + 0.999f;
  for (float s : sums) result += s;
  return static_cast<double>(iterations) * kChains;
}

double dot_scalar(size_t iterations, double& result) {
  uint32_t sums[kChains] = {};
  for (size_t i = 0; i < iterations; ++i)
    for (uint32_t& s : sums) s += (s & 0xff) * 3 + 1;
  for (uint32_t s : sums) result += s;
  return static_cast<double>(iterations) * kChains;
}

}  // namespace

NIBBLE_VECTOR_CLONES float sum_floats(const float* values, size_t count) {
  constexpr size_t kLanes = 64;
  float sums[kLanes] = {};
  for (size_t i = 0; i + kLanes <= count; i += kLanes)
    for (size_t k = 0; k < kLanes; ++k) sums[k] += values[i + k];
  float total = 0;
  for (float s : sums) total += s;
  return total;
}

PeakLoops peak_loops(std::string_view instruction_set) {
#if defined(__x86_64__)
  if (instruction_set == "avx512bf16") return {dot_avx512vnni, dot_avx512vnni, dot_avx512bf16, fma_avx512};
  if (instruction_set == "avx512vnni") return {dot_avx512vnni, dot_avx512vnni, nullptr, fma_avx512};
  if (instruction_set == "avx2vnni") return {dot_avx2vnni, dot_avx2vnni, nullptr, fma_avx2};
  if (instruction_set == "avx2") return {dot8_avx2, dot4_avx2, nullptr, fma_avx2};
#endif
  return {dot_scalar, dot_scalar, nullptr, fma_scalar};
}

}  // namespace nibble
