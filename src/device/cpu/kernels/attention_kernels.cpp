#include "device/cpu/kernels/attention.hpp"

namespace nibble::cpu {

void attend_scalar(const AttentionTask& task);
#if defined(__x86_64__)
void attend_few_avx2(const AttentionTask& task);
void attend_many_avx2(const AttentionTask& task);
void attend_few_avx2vnni(const AttentionTask& task);
void attend_many_avx2vnni(const AttentionTask& task);
void attend_few_avx512(const AttentionTask& task);
void attend_many_avx512(const AttentionTask& task);
void attend_many_avx512bf16(const AttentionTask& task);
#endif

namespace {

constexpr AttentionKernels kScalar{"attention_scalar", attend_scalar, attend_scalar};
#if defined(__x86_64__)
constexpr AttentionKernels kAvx2{"attention_6x16_avx2", attend_few_avx2, attend_many_avx2};
constexpr AttentionKernels kAvx2Vnni{"attention_6x16_avx2vnni", attend_few_avx2vnni, attend_many_avx2vnni};
constexpr AttentionKernels kAvx512{"attention_12x32_avx512vnni", attend_few_avx512, attend_many_avx512};
constexpr AttentionKernels kAvx512Bf16{"attention_bf16_12x32_avx512bf16", attend_few_avx512, attend_many_avx512bf16};
#endif

}  // namespace

size_t attention_scratch_bytes(const KvLayout& layout, size_t rows) {
  // The greatest needs of any kernel: rows come in groups of at most 16; a vector has at most 16 lanes.
  constexpr size_t kGroup = 16, kLanes = 16, kAlignment = 64, kParts = 16;
  size_t padded = (rows + kGroup - 1) / kGroup * kGroup;
  size_t groups = (layout.key_dim + kKvGroup - 1) / kKvGroup + (layout.value_dim + kKvGroup - 1) / kKvGroup;
  size_t dimensions = layout.key_dim + 1;
  size_t queries = padded * (dimensions + 2 * groups);
  size_t block = kKvBlock * (dimensions + layout.value_lanes);
  size_t few = kGroup * groups * (kLanes + kKvBlock + 1) + groups * (kKvBlock + 1);
  return (queries + block + padded * kLanes + few) * sizeof(float) + kParts * kAlignment;
}

const AttentionKernels& attention_kernels(Isa isa, bool use_bf16) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::scalar: return kScalar;
    case Isa::avx2: return kAvx2;
    case Isa::avx2vnni: return kAvx2Vnni;
    case Isa::avx512vnni: return kAvx512;
    case Isa::avx512bf16: return use_bf16 ? kAvx512Bf16 : kAvx512;
  }
#endif
  (void)isa, (void)use_bf16;
  return kScalar;
}

}  // namespace nibble::cpu
