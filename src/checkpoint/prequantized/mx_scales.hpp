#pragma once

#include "checkpoint/prequantized/grouped_matrix.hpp"

namespace nibble {

/// Scales and groups of an MX format: exponents with an offset of 127 (u8 or f8e8m0), [rows, groups] in row-major order, each for 32
/// columns. They stay f8e8m0 where every product of a scale and a code is one of f16 too, as graphs that compute in f16 take for granted;
/// otherwise they are f32.
void set_mx_scales(GroupedParts& parts, const Tensor& exponents);

}  // namespace nibble
