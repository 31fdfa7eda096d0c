#pragma once

#include <cstddef>
#include <string_view>

namespace nibble {

// Loops that do nothing but load the arithmetic units or the memory.

/// Sum of `count` floats, to read them.
float sum_floats(const float* values, size_t count);

/// Runs `iterations` of independent multiply-accumulates; returns how many that were and gives a result to keep.
using PeakLoop = double (*)(size_t iterations, double& result);

/// The best instructions of an instruction set ("scalar", "avx2", "avx2vnni", "avx512vnni", "avx512bf16") that this processor has.
struct PeakLoops {
  PeakLoop int8;  ///< 8-bit by 8-bit numbers
  PeakLoop int4;  ///< 4-bit by 8-bit numbers: faster than int8 where that has no instruction of its own (AVX2 without VNNI)
  PeakLoop bf16;  ///< nullptr where there is no instruction for it
  PeakLoop f32;
};
PeakLoops peak_loops(std::string_view instruction_set);

}  // namespace nibble
