#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "graph/constant.hpp"

namespace nibble::cpu {

/// A matrix of weights [rows, columns] as a model holds it: what is packed. Cheap to copy.
/// weight = (code - zero point) * scale, code by its element type; what is not there is left out.
struct WeightMatrix {
  std::string name;  ///< for messages
  size_t rows = 0, columns = 0;
  size_t group_size = 0;  ///< columns per scale and zero point; == columns for one per row
  /// Any shape, row-major, [all rows, columns]: u4 i4 u8 i8 nf4 f4e2m1 f8e4m3 f16 bf16 f32; with levels: u4.
  ConstantValue codes;
  /// [all rows, groups] or one value: f16 f32 bf16 f8e8m0 f8e4m3; not there: 1.
  ConstantValue scales;
  /// [all rows, groups] or one value: u4 i4 u8 i8; integer codes only. Not there: 0.
  ConstantValue zero_points;
  std::vector<float> levels;  ///< codes are indices into this table of 16 (a codebook); else empty
  /// Of the constants' rows (all but values that stand for the whole) where this matrix starts: one expert of [experts, rows, columns].
  size_t first_row = 0;
  bool transposed = false;  ///< the constant holds this matrix as [columns, rows]; f16, bf16 and f32 without scales only
};

/// How a matrix is to be packed.
struct PackOptions {
  bool to_bf16 = false;  ///< rounds f16 and f32 weights to bf16, to nearest even
};

/// Matrices that become one packed matrix, stacked along rows (q, k and v; gate and up).
struct PackRequest {
  std::vector<WeightMatrix> parts;
  PackOptions options;
};

}  // namespace nibble::cpu
