#include "device/cpu/kernels/quantized_gemm.hpp"

#include "base/fail.hpp"
#include "device/cpu/kernels/quantized_gemm_isa.hpp"

namespace nibble::cpu {

void fold_zero_point(const PackedMatrix& w, ChunkTerms* terms, size_t count) {
  if (w.zero_points) return;
  for (size_t i = 0; i < count; ++i) terms[i].sum *= -w.zero_point;
}

const QuantizedGemm& quantized_gemm(CodeType code_type, Isa isa) {
  if (code_type != CodeType::u4 && code_type != CodeType::u8)
    fail(ErrorKind::unsupported, "quantized product: weights of code type {}; only u4 and u8 are integers", static_cast<int>(code_type));
  [[maybe_unused]] const bool u4 = code_type == CodeType::u4;
#if defined(__x86_64__)
  switch (isa) {
    case Isa::avx512bf16:
    case Isa::avx512vnni: return u4 ? kQuantizedGemmU4Avx512vnni : kQuantizedGemmU8Avx512vnni;
    case Isa::avx2vnni: return u4 ? kQuantizedGemmU4Avx2vnni : kQuantizedGemmU8Avx2vnni;
    case Isa::avx2: return u4 ? kQuantizedGemmU4Avx2 : kQuantizedGemmU8Avx2;
    case Isa::scalar: break;
  }
#endif
  return u4 ? kQuantizedGemmU4Scalar : kQuantizedGemmU8Scalar;
}

}  // namespace nibble::cpu
