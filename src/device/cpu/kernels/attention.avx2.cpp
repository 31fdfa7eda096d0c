#include "device/cpu/kernels/attention_avx2.hpp"
#include "device/cpu/kernels/attention_few_u8.hpp"
#include "device/cpu/kernels/attention_many_u8.hpp"

namespace nibble::cpu {

void attend_few_avx2(const AttentionTask& task) { attend_few<Avx2>(task); }
void attend_many_avx2(const AttentionTask& task) { attend_many<Avx2>(task); }

}  // namespace nibble::cpu
