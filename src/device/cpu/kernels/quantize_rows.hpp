#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/cpu/kernels/quantized_gemm_isa.hpp"

// QuantizedGemm::quantize over the operations `Ops` of an instruction set. Everything is local to the file that includes it.

namespace nibble::cpu {
namespace {

/// Chunk `chunk` of the row, or a copy in `padded` with zeros beyond the columns.
inline const float* padded_chunk(const float* x, size_t columns, size_t chunk, float (&padded)[kChunk]) {
  const size_t begin = chunk * kChunk, count = columns - begin;
  if (count >= kChunk) return x + begin;
  memset(padded, 0, sizeof padded);
  memcpy(padded, x + begin, count * sizeof(float));
  return padded;
}

template <class Ops>
QuantizationStep step_of(const float* x, size_t columns, size_t begin, size_t end, float (&padded)[kChunk]) {
  typename Ops::Int largest = Ops::zero_int();
  for (size_t c = begin; c < end; ++c) {
    const float* chunk = padded_chunk(x, columns, c, padded);
    for (size_t i = 0; i < kChunk; i += Ops::kLanes) largest = Ops::largest(largest, chunk + i);
  }
  return quantization_step(Ops::reduce_max(largest));
}

template <class Ops>
void quantize(const float* x, size_t columns, size_t group, int8_t* codes, ChunkTerms* terms) {
  alignas(64) float padded[kChunk];
  const size_t chunks = (columns + kChunk - 1) / kChunk, group_chunks = group / kChunk;
  for (size_t begin = 0; begin < chunks; begin += group_chunks) {
    const size_t end = begin + group_chunks < chunks ? begin + group_chunks : chunks;
    const QuantizationStep step = step_of<Ops>(x, columns, begin, end, padded);
    for (size_t c = begin; c < end; ++c) {
      terms[c] = {step.scale, 0};
      if (step.inverse == 0)
        memset(codes + c * kChunk, 0, kChunk);
      else
        terms[c].sum =
            static_cast<float>(Ops::reduce_add(Ops::encode(padded_chunk(x, columns, c, padded), step.inverse, codes + c * kChunk)));
    }
  }
}

}  // namespace
}  // namespace nibble::cpu
