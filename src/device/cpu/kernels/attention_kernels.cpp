#include "device/cpu/kernels/attention.hpp"

namespace nibble::cpu {

extern const AttentionKernels kAttentionScalar;
#if defined(__x86_64__)
extern const AttentionKernels kAttentionAvx2, kAttentionAvx512, kAttentionAvx512Bf16;
#endif

size_t attention_scratch_bytes(const KvLayout& layout, size_t rows) {
  // The greatest needs of any kernel: rows come in groups of at most 16; a vector has at most 16 lanes.
  constexpr size_t kGroup = 16, kLanes = 16, kAlignment = 64, kParts = 16;
  size_t padded = (rows + kGroup - 1) / kGroup * kGroup;
  size_t groups = (layout.key_dim + kKvGroup - 1) / kKvGroup + (layout.value_dim + kKvGroup - 1) / kKvGroup;
  size_t dimensions = layout.key_dim + 1;
  size_t queries = padded * (dimensions + 2 * groups);
  size_t block = kKvBlock * (dimensions + layout.value_lanes);
  size_t few = kGroup * groups * (kLanes + kKvBlock) + groups * (kKvBlock + 1);
  return (queries + block + padded * kLanes + few) * sizeof(float) + kParts * kAlignment;
}

const AttentionKernels& attention_kernels(Isa isa, bool use_bf16) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::scalar: return kAttentionScalar;
    case Isa::avx2:
    case Isa::avx2vnni: return kAttentionAvx2;  // VNNI multiplies bytes and adds 16-bit products; nothing here is that
    case Isa::avx512vnni: return kAttentionAvx512;
    case Isa::avx512bf16: return use_bf16 ? kAttentionAvx512Bf16 : kAttentionAvx512;
  }
#endif
  (void)isa, (void)use_bf16;
  return kAttentionScalar;
}

}  // namespace nibble::cpu
