#pragma once

#include <cstdint>
#include <cstring>

#include "device/cpu/kernels/quantized_gemm.hpp"

namespace nibble::cpu {

// What quantized_gemm() chooses from; each is defined in the file of its instruction set.
extern const QuantizedGemm kQuantizedGemmU4Scalar, kQuantizedGemmU8Scalar;
extern const QuantizedGemm kQuantizedGemmU4Avx2, kQuantizedGemmU8Avx2;
extern const QuantizedGemm kQuantizedGemmU4Avx2vnni, kQuantizedGemmU8Avx2vnni;
extern const QuantizedGemm kQuantizedGemmU4Avx512vnni, kQuantizedGemmU8Avx512vnni;

namespace {

/// The step between the codes of a group of activations and its inverse, which is 0 when all codes are 0.
struct QuantizationStep {
  float scale, inverse;
};

/// From the bits of the largest |x| of the group. They are in the order of the values, with infinity and NaN above.
inline QuantizationStep quantization_step(uint32_t bits) {
  constexpr uint32_t kInfinity = 0x7f800000, kSmallest = (127 - 119) << 23;  // 2^-119
  if (bits >= kInfinity) return {__builtin_nanf(""), 0};
  if (bits < kSmallest) return {0, 0};
  float largest;
  memcpy(&largest, &bits, sizeof largest);
  return {largest / 127, 127 / largest};
}

}  // namespace
}  // namespace nibble::cpu
