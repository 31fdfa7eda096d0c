#include "device/cpu/kernels/attention_avx512.hpp"
#include "device/cpu/kernels/attention_many.hpp"

namespace nibble::cpu {

namespace {

/// Products of pairs of bf16, added up in f32.
struct Avx512Bf16 : Avx512 {
  using Avx512::dot;
  using Avx512::load;
  static Int load(const Pair* p) { return _mm512_loadu_si512(p); }
  static Float dot(Float sum, Int a, Int b) { return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)); }

  /// 32 numbers in order, rounded.
  static Int round_pairs(Float first, Float second) { return reinterpret_cast<Int>(_mm512_cvtne2ps_pbh(second, first)); }
  static void store_pairs(Pair* out, Float first, Float second) { _mm512_storeu_si512(out, round_pairs(first, second)); }
  /// Pairs (even lane i, odd lane i).
  static void store_interleaved(Pair* out, Float even, Float odd) {
    const Int order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18,
                                       2, 17, 1, 16, 0);
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(order, round_pairs(even, odd)));
  }
};

}  // namespace

void attend_many_avx512bf16(const AttentionTask& task) { attend_many_floats<Avx512Bf16, Pair>(task); }

}  // namespace nibble::cpu
