#pragma once

#include <cstddef>

namespace nibble {

// The innermost f32 loops of MatMul and attention. Pure functions. The order of additions is fixed, so results do not depend
// on the instruction set, the number of threads or how the work was cut.

/// out[i * out_stride + j] = dot product of row i of `a` and row j of `b`; rows have `depth` elements and lie one after another.
void multiply_rows(const float* a, size_t a_rows, const float* b, size_t b_rows, size_t depth, float* out, size_t out_stride);

/// out[d] = sum over k of weights[k] * rows[k * width + d].
void combine_rows(const float* weights, const float* rows, size_t count, size_t width, float* out);

}  // namespace nibble
