#pragma once

#include <memory>

#include "base/mapped_file.hpp"
#include "checkpoint/encoded_matrix.hpp"
#include "checkpoint/gguf/gguf_file.hpp"

namespace nibble {

/// A tensor in blocks (of two or three dimensions) as a matrix. Q4_0, Q8_0, MXFP4 and what else OpenVINO can represent exactly with
/// groups of 32 columns have a grid; the others are floats. Immutable and thread-safe.
std::shared_ptr<const EncodedMatrix> make_gguf_matrix(const GgufTensor& tensor, std::shared_ptr<const MappedFile> file);

/// What a tensor in blocks is stored as where it has to be floats.
inline constexpr ElementType kGgufFloatType = ElementType::f16;

/// Decodes columns [begin, begin + out.size()) of a row of blocks.
void decode_gguf_row(const GgmlType& type, const std::byte* row, int64_t begin, std::span<float> out);

}  // namespace nibble
