#pragma once

#include <memory>

#include "checkpoint/encoded_matrix.hpp"
#include "checkpoint/prequantized/code_plane.hpp"
#include "checkpoint/prequantized/column_groups.hpp"
#include "checkpoint/prequantized/group_values.hpp"

namespace nibble {

/// What a matrix of codes consists of. All parts have been checked against the shape.
struct GroupedParts {
  Shape shape;
  /// u4 or u8 for integers: their codes in the plane are unsigned; or what the codes are: nf4, f4e2m1, f8e4m3, f8e5m2.
  ElementType codes = ElementType::u4;
  int bits = 4;  ///< of the codes
  std::shared_ptr<const CodePlane> plane;
  std::shared_ptr<const GroupValues> scales;
  ElementType scale_type = ElementType::f16;     ///< holds the scales exactly
  std::shared_ptr<const CodePlane> zero_points;  ///< [rows, groups], unsigned as the codes; none: `zero` for all
  int zero = 0;                                  ///< the unsigned code of the number 0
  ColumnGroups groups;
};

/// (code - zero point) * scale, each scale for a row and a group of columns. Where all integers have the same zero point, and half of their
/// range is below it, the grid has signed codes without zero points.
std::shared_ptr<const EncodedMatrix> make_grouped_matrix(GroupedParts parts);

}  // namespace nibble
