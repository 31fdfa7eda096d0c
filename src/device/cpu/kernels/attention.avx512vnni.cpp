#include "device/cpu/kernels/attention_avx512.hpp"
#include "device/cpu/kernels/attention_few_u8.hpp"
#include "device/cpu/kernels/attention_many_u8.hpp"

namespace nibble::cpu {

void attend_few_avx512(const AttentionTask& task) { attend_few<Avx512>(task); }
void attend_many_avx512(const AttentionTask& task) { attend_many<Avx512>(task); }

}  // namespace nibble::cpu
