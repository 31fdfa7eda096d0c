#pragma once

#include "compress/activation_statistics.hpp"
#include "compress/compression_methods.hpp"
#include "compress/quantize.hpp"
#include "compress/weight_matrix.hpp"

namespace nibble {

/// A codebook of f8e4m3 for one weight: NNCF 3.4's codebook estimation. Cluster centres of the normalized weights, each weighted by its
/// column's activity (k-means over a histogram, at several stages), `first` and evenly spaced levels are tried, and the one with the
/// smallest mean error of the layer's outputs is taken. `group_size` divides the columns.
Tensor estimate_codebook(const ConstantValue& weight, const MatrixLayout& layout, size_t group_size, const Tensor& first,
                         const ActivationStatistics& inputs, const AdaptiveCodebookParameters& parameters, ThreadPool& threads);

}  // namespace nibble
