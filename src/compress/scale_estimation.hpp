#pragma once

#include "compress/activation_statistics.hpp"
#include "compress/group_scales.hpp"
#include "compress/tile_estimator.hpp"
#include "compress/weight_matrix.hpp"

namespace nibble {

/// Scales that keep a layer's outputs for typical inputs close to the original ones, in place of those that just cover the range of the
/// weights: NNCF 3.4's scale estimation. `rule.group_size` divides the columns. Reads the weight once; what is in memory of it are slices.
GroupScales estimate_scales(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule,
                            const ActivationStatistics& inputs, const ScaleEstimationParameters& parameters, ThreadPool& threads);

}  // namespace nibble
