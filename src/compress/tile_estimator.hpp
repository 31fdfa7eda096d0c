#pragma once

#include <span>
#include <vector>

#include "compress/compression_methods.hpp"
#include "compress/quantize.hpp"
#include "compress/tile_kernels.hpp"

namespace nibble {

/// The part of a rule that tiles need. The rule's levels must outlive it. Integer and level modes only.
TileRule tile_rule(const QuantizeRule& rule);

/// The sums of a tile's rows over any number of columns, in numpy's order (pairwise summation).
void row_sums(const TileKernels& kernels, const float* values, size_t columns, float* sums);

/// What goes into one group of columns: the inputs' means [columns, samples], `stride` floats from a column to the next, and how much each
/// column matters.
struct TileInputs {
  const float* means = nullptr;
  size_t samples = 0, stride = 0;
  std::span<const float> importance;
};

/// Scale estimation of 16 rows of one group: keeps zero points and looks for scales with a smaller error of the group's outputs
/// (NNCF's ScaleEstimation; docs/quantization.md). Holds scratch memory; for one thread. Rows are independent of one another.
class TileEstimator {
 public:
  TileEstimator(const TileRule& rule, const ScaleEstimationParameters& parameters, size_t columns, size_t samples,
                const TileKernels& kernels = tile_kernels());

  /// Writes a scale and a zero point (as a whole number) for each row. Rows of groups without importance keep the scale of their range.
  void run(const float* tile, const TileInputs& inputs, float* scales, float* zero_points);

 private:
  using Row = float[kTileRows];

  void set_importance(const TileInputs& inputs);
  void estimate(const float* tile, const float* first_scales, float* candidates);
  void measure(const float* tile, const TileInputs& inputs, const float* scales, const float* zero_points, float* errors);
  void accept(const float* candidates, const float* errors, float* scales);

  TileRule rule_;
  ScaleEstimationParameters parameters_;
  size_t columns_;
  const TileKernels* kernels_;
  std::vector<float> targets_, importance_, terms_, outputs_;
  Row best_errors_;
};

}  // namespace nibble
