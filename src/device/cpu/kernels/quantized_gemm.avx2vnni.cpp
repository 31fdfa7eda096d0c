#include "device/cpu/kernels/quantized_gemm_256.hpp"
#include "device/cpu/kernels/quantized_gemm_vnni.hpp"

namespace nibble::cpu {
namespace {

struct VnniOps : Ops {
  static Int dot(Int sum, Int weights, Int x) { return _mm256_dpbusd_avx_epi32(sum, weights, x); }
};

}  // namespace

constinit const QuantizedGemm kQuantizedGemmU4Avx2vnni{"gemm_q8_u4_16x4_avx2vnni", 1, quantize<VnniOps>,
                                                       multiply<VnniOps, Few<DotU4<VnniOps>, 4>, Many<DotU8<VnniOps>, 1, 4, true>>};
constinit const QuantizedGemm kQuantizedGemmU8Avx2vnni{"gemm_q8_u8_16x4_avx2vnni", 1, quantize<VnniOps>,
                                                       multiply<VnniOps, Few<DotU8<VnniOps>, 4>, Many<DotU8<VnniOps>, 1, 4, false>>};

}  // namespace nibble::cpu
