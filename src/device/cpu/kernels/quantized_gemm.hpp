#pragma once

#include <string_view>

#include "device/cpu/kernels/isa.hpp"
#include "device/cpu/kernels/packed_matrix.hpp"

namespace nibble::cpu {

/// What a product needs of a chunk of 32 activations beside their codes; side by side, so that it reads one stream of them.
struct ChunkTerms {
  float scale;
  float sum;  ///< of the codes; after fold_zero_points() the group's sum in its first chunk
};

/// Activations quantized to 8 bits: x = code * scale, a scale for every chunk of 32 columns. Codes beyond the columns are 0.
struct QuantizedRows {
  size_t rows = 0;
  size_t stride = 0;                  ///< bytes from row to row of codes; at least the padded columns, a multiple of 64
  size_t chunks = 0;                  ///< per row
  const int8_t* codes = nullptr;      ///< [rows][stride], -127 .. 127
  const ChunkTerms* terms = nullptr;  ///< [rows][chunks]
};

/// Products of quantized activations with u4 and u8 weights whose groups are whole chunks. Every kernel of every instruction set gives the
/// same bits: with c over the chunks of group g in order, and g in order,
///   i(c)   = sum over the chunk of weight code * activation code                    (exact)
///   s(g)   = fma(sum of activation codes(c), activation scale(c), s(g)), starting from 0
///   t(g)   = fma(float(i(c)), activation scale(c), t(g)), starting from s(g) * -zero point
///   y      = fma(t(g), weight scale(g), y), starting from 0
///   result = y [+ bias] [+ what was there]
/// so a row's result does not depend on the other rows, on the number of threads or on the processor.
struct QuantizedGemm {
  std::string_view name;  ///< types, tile and instruction set: "gemm_q8_u4_32x6_avx512vnni"
  size_t tile_panels;     ///< that many rows are multiplied with at once: ranges of a multiple of them lose nothing
  /// Quantizes a row of x (`columns` floats) with one scale = max|x| / 127 for every `group` columns (a multiple of 32);
  /// code = x * (127 / max|x|) rounded to nearest even. Writes padded columns of codes and the terms of the chunks. A group whose
  /// max|x| is below 2^-119 (its scale would be subnormal) gets scale and codes 0, one with NaN or infinity the scale NaN and codes 0.
  void (*quantize)(const float* x, size_t columns, size_t group, int8_t* codes, ChunkTerms* terms);
  /// Rows `rows` of x times panels `panels` of w, into out (indexed by the same rows; columns by weight row). Any number of rows; few
  /// and many have loops of their own. Scratch of up to 100 KB on the stack. Weights a little beyond the
  /// panels are asked for ahead of time, which is the fastest where the next call goes on from there.
  void (*multiply)(const PackedMatrix& w, const QuantizedRows& x, const GemmOutput& out, Range panels, Range rows);
};

/// Makes the sums of chunks what QuantizedGemm::multiply takes: s(g) in the first chunk of each of the groups of `w`, times -zero point
/// where `w` has one for all weights. terms[rows][chunks of w].
void fold_zero_points(const PackedMatrix& w, ChunkTerms* terms, size_t rows);

/// For u4 or u8.
const QuantizedGemm& quantized_gemm(CodeType code_type, Isa isa);

}  // namespace nibble::cpu
