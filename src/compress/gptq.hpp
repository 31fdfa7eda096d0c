#pragma once

#include <string>
#include <vector>

#include "compress/activation_statistics.hpp"
#include "compress/group_scales.hpp"
#include "compress/tile_estimator.hpp"
#include "compress/weight_matrix.hpp"

namespace nibble {

/// One matrix quantized by GPTQ, row-major.
struct GptqMatrix {
  std::vector<float> values;       ///< [rows, columns]: the quantized weight, in f32
  std::vector<float> scales;       ///< [rows, groups]
  std::vector<float> zero_points;  ///< the same, whole numbers
};

/// Quantizes columns from left to right, each time moving what the columns after it can make up for into them (Frantar et al., GPTQ,
/// 2022; NNCF 3.4's variant with its blocks). `weight` is [rows, columns] and consumed; `hessian` is input_hessian's, consumed too. Columns
/// that were never active become 0. Where `means` is given, scales are estimated from them (integer modes). Throws Error{invalid_argument}
/// when the Hessian stays singular after damping; `layer` is for messages.
GptqMatrix gptq(std::vector<float> weight, size_t rows, std::vector<float> hessian, const QuantizeRule& rule,
                const GptqParameters& parameters, const ActivationStatistics* means, size_t matrix, const std::string& layer,
                ThreadPool& threads);

}  // namespace nibble
