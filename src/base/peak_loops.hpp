#pragma once

#include <cstddef>

namespace nibble {

// Loops that do nothing but load the arithmetic units or the memory, with the best instructions of this processor.

/// Sum of `count` floats, to read them.
float sum_floats(const float* values, size_t count);
/// Runs `iterations` of independent operations; returns how many operations that were and gives a result to keep.
double int8_multiply_accumulate(size_t iterations, double& result);
double f32_multiply_add(size_t iterations, double& result);

}  // namespace nibble
