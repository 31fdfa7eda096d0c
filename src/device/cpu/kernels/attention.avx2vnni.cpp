#include "device/cpu/kernels/attention_avx2.hpp"
#include "device/cpu/kernels/attention_few_u8.hpp"
#include "device/cpu/kernels/attention_many_u8.hpp"

namespace nibble::cpu {

namespace {

/// Products of 16-bit integers are added up in the same instruction.
struct Avx2Vnni : Avx2 {
  using Avx2::dot;
  static Int dot_shorts(Int sum, Int a, Int b) {
    asm("%{vex%} vpdpwssd %[b], %[a], %[sum]" : [sum] "+x"(sum) : [a] "x"(a), [b] "x"(b));
    return sum;
  }
  static Int dot(Int sum, Int factor, ShortInts shorts) { return dot_shorts(sum, factor, shorts.pairs); }
  static Int dot(Int sum, TwoInts factor, TwoInts codes) {
    return dot_shorts(dot_shorts(sum, factor.even, codes.even), factor.odd, codes.odd);
  }
};

}  // namespace

void attend_few_avx2vnni(const AttentionTask& task) { attend_few<Avx2Vnni>(task); }
void attend_many_avx2vnni(const AttentionTask& task) { attend_many<Avx2Vnni>(task); }

}  // namespace nibble::cpu
