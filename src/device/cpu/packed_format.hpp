#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "device/cpu/kernels/packed_matrix.hpp"
#include "device/cpu/weight_matrix.hpp"

namespace nibble::cpu {

/// The format that a request is packed in: everything of a PackedMatrix but the memory.
struct PackedFormat {
  CodeType code_type = CodeType::f32;
  ScaleType scale_type = ScaleType::none;
  size_t rows = 0, columns = 0, group_size = 0;  ///< as in PackedMatrix
  bool has_zero_points = false;                  ///< stored one by one; else `zero_point` holds for all
  uint8_t zero_point = 0;
  std::array<float, 16> levels{};  ///< level4 only

  /// The sections' sizes; 0 for those that are not there.
  size_t code_bytes() const;
  size_t scale_bytes() const;
  size_t zero_point_bytes() const;
  size_t level_bytes() const;
};

/// A packed matrix of this format, without memory.
PackedMatrix describe(const PackedFormat& format);

/// True when the types of the matrix's constants have a packed form. Looks at types and shapes only.
bool can_pack(const WeightMatrix& matrix);

/// True when the parts can be one packed matrix: each can be packed, they have the same type of codes, columns, group size and levels, and
/// every part but the last ends with a panel. Looks at types and shapes only.
bool can_stack(std::span<const WeightMatrix> parts);

/// Chooses the format and checks the request. Integers become u4 and u8 (signed ones with code + 8 or + 128 and the zero point likewise);
/// nf4, f4e2m1 and codebooks level4; floats stay as they are unless the options say otherwise; f8e4m3 with NaN codes becomes f16. Scales
/// are f16 when there are several per row and f16 is known to hold every one exactly, else f32; integers and levels without scales get 1.
/// Reads scales, zero points and f8e4m3 codes, of lazy constants only the latter. Throws Error{unsupported} for a type that has no packed
/// form, Error{corrupt} where sizes do not agree and Error{invalid_argument} for parts that cannot be stacked.
PackedFormat choose_format(const PackRequest& request);

/// What is added to codes and zero points to make them unsigned: 8 for i4, 128 for i8, else 0.
int unsigned_shift(ElementType codes);

/// Groups per row as the model has them (the packed matrix may have more: its columns are padded).
size_t model_groups(const WeightMatrix& matrix);

}  // namespace nibble::cpu
