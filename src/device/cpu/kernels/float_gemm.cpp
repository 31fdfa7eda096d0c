#include "device/cpu/kernels/float_gemm.hpp"

#include "device/cpu/kernels/float_gemm_isa.hpp"

namespace nibble::cpu {

const FloatGemm& float_gemm(CodeType code_type, Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::avx512vnni) return float_gemm_avx512vnni(code_type);
  if (isa >= Isa::avx2) return float_gemm_avx2(code_type);
#endif
  static_cast<void>(isa);
  return float_gemm_scalar(code_type);
}

const Bf16Gemm& bf16_gemm(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512bf16) return bf16_gemm_avx512bf16();
#endif
  static_cast<void>(isa);
  return bf16_gemm_scalar();
}

}  // namespace nibble::cpu
