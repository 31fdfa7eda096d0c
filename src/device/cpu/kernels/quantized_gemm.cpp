#include "device/cpu/kernels/quantized_gemm.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "device/cpu/kernels/quantized_gemm_isa.hpp"

namespace nibble::cpu {

void fold_zero_points(const PackedMatrix& w, ChunkTerms* terms, size_t rows) {
  const size_t chunks = w.padded_columns() / kChunk, group_chunks = w.group_size / kChunk;
  const float factor = w.zero_points ? 1.0f : static_cast<float>(-w.zero_point);
  for (size_t row = 0; row < rows; ++row, terms += chunks)
    for (size_t begin = 0; begin < chunks; begin += group_chunks) {
      float sum = 0;
      for (size_t c = begin; c < std::min(begin + group_chunks, chunks); ++c) sum = std::fma(terms[c].sum, terms[c].scale, sum);
      terms[begin].sum = sum * factor;
    }
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
