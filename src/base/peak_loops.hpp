#pragma once

#include <cstddef>
#include <string_view>

namespace nibble {

// Loops that do nothing but load the arithmetic units or the memory, with the best instructions of this processor.

/// Sum of `count` floats, to read them.
float sum_floats(const float* values, size_t count);
/// Runs `iterations` of independent operations; returns how many operations that were and gives a result to keep.
double int8_multiply_accumulate(size_t iterations, double& result);
/// 4-bit by 8-bit numbers: more than int8_multiply_accumulate where that has no instruction of its own (AVX2 without VNNI).
double int4_multiply_accumulate(size_t iterations, double& result);
double f32_multiply_add(size_t iterations, double& result);

/// Both for an instruction set that this processor has ("scalar", "avx2", "avx2vnni", "avx512vnni", "avx512bf16"), to compare kernels with.
struct DotLoops {
  double (*int8)(size_t iterations, double& result);
  double (*int4)(size_t iterations, double& result);
};
DotLoops dot_loops(std::string_view instruction_set);

}  // namespace nibble
