#pragma once

#include "device/cpu/kernels/float_gemm.hpp"

namespace nibble::cpu {

// The kernels of each instruction set. avx2vnni has those of avx2, avx512bf16 those of avx512vnni.

const FloatGemm& float_gemm_scalar(CodeType type);
const FloatGemm& float_gemm_avx2(CodeType type);
const FloatGemm& float_gemm_avx512vnni(CodeType type);

const Bf16Gemm& bf16_gemm_scalar();
const Bf16Gemm& bf16_gemm_avx512bf16();

}  // namespace nibble::cpu
