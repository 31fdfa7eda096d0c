#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "compress/compression_mode.hpp"

namespace nibble {

/// Rows of a weight that data-aware methods work on at once, one per vector lane.
inline constexpr size_t kTileRows = 16;
/// Values that lane_sum adds at once.
inline constexpr size_t kLaneSumTerms = 128;

/// How values become codes; a mode without what only storage needs.
struct TileRule {
  QuantizerFamily family = QuantizerFamily::symmetric;  ///< asymmetric, symmetric or levels
  float range = 8;                                      ///< symmetric: 2^(bits - 1); asymmetric: 2^bits - 1; levels: the largest magnitude
  const float* thresholds = nullptr;                    ///< levels: between levels, one fewer
  const float* levels = nullptr;
  size_t level_count = 0;
};

/// The inner loops of the data-aware methods for one instruction set. A tile is [columns][kTileRows]: column after column of 16 rows of a
/// weight, with one scale and zero point per row. Zero points are whole numbers, 0 where a rule has none. Stateless; they
/// allocate nothing. All sets give equal bytes: no fused multiply-adds, sums in a fixed order.
struct TileKernels {
  std::string_view isa;
  /// Scale and zero point of each row from its range: the formulas of QuantizeKernels.
  void (*fit)(const float* tile, size_t columns, const TileRule& rule, float* scales, float* zero_points);
  /// What codes stand for before they are scaled: code - zero point, or the level.
  void (*encode)(const float* tile, size_t columns, const TileRule& rule, const float* scales, const float* zero_points, float* targets);
  /// out = targets * scale / divisors[column] - tile.
  void (*residual)(const float* tile, const float* targets, size_t columns, const float* scales, const float* divisors, float* out);
  /// out = tile * factors[column].
  void (*scale_columns)(const float* tile, size_t columns, const float* factors, float* out);
  /// out = weights[column], 0 where the target is 0.
  void (*importance)(const float* targets, size_t columns, const float* weights, float* out);
  /// out = |tile| / |target| * importance.
  void (*scale_terms)(const float* tile, const float* targets, const float* importance, size_t columns, float* out);
  /// Row sums of up to kLaneSumTerms columns in numpy's order.
  void (*lane_sum)(const float* values, size_t columns, float* sums);
  /// out[sample][row] = (or += where `add`) the product of the tile's rows and x, [columns][samples] with `stride` floats from a column to
  /// the next.
  void (*product)(const float* tile, size_t columns, const float* x, size_t samples, size_t stride, bool add, float* out);
  void (*square)(const float* values, size_t columns, float* out);
  /// GPTQ on `columns` columns: each is quantized, and what that costs is made up for by the columns after it. `inverse` is the upper
  /// triangular factor's block on the diagonal, with `stride` floats per row; column i takes row (first_column + i) / group_size of
  /// `scales` and `zero_points`, which are `group_stride` floats apart. Writes the quantized values over `tile`, and the errors.
  void (*gptq)(float* tile, size_t columns, const TileRule& rule, const float* inverse, size_t stride, const float* scales,
               const float* zero_points, size_t group_stride, size_t first_column, size_t group_size, float* errors);
};

/// Plain code: the specification of the others.
const TileKernels& scalar_tile_kernels();
/// The sets that this machine can run, slowest (scalar) first.
std::span<const TileKernels* const> available_tile_kernels();
/// The fastest of them.
const TileKernels& tile_kernels();

}  // namespace nibble
