#include "device/cpu/kernels/attention_avx512.hpp"
#include "device/cpu/kernels/attention_few_u8.hpp"
#include "device/cpu/kernels/attention_many.hpp"

namespace nibble::cpu {

extern const AttentionKernels kAttentionAvx512{"attention_f32_12x32_avx512vnni", attend_few<Avx512>, attend_many<Avx512, float>};

}  // namespace nibble::cpu
