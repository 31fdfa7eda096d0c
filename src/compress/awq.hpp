#pragma once

#include <vector>

#include "compress/activation_statistics.hpp"
#include "compress/compression_methods.hpp"
#include "compress/quantize.hpp"
#include "compress/weight_matrix.hpp"

namespace nibble {

/// What the layer before can bear: its outputs are divided by the scales and must stay within f16.
struct PreviousLayer {
  std::vector<float> row_means;  ///< mean |weight| of each row, [matrices, rows]
  float largest_input = 0;       ///< largest |mean| of its inputs
  size_t columns = 0;
};

/// Mean |weight| of each row; rounded to f16 for an f16 weight, as NNCF takes it.
std::vector<float> row_magnitudes(const ConstantValue& weight, const MatrixLayout& layout, ThreadPool& threads);

/// How a weight's columns are multiplied (and its inputs divided) before quantization, so that columns with large inputs lose less:
/// [matrices, columns], or [columns] where all matrices share their inputs. NNCF 3.4's data-aware AWQ: for the groups that hold the most
/// active columns, the power of the activations' magnitude that gives the smallest error; 1 elsewhere. Integer and level modes.
std::vector<float> awq_scales(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule,
                              const ActivationStatistics& inputs, const AwqParameters& parameters, const PreviousLayer* previous,
                              bool shared, ThreadPool& threads);

/// The same from the weight alone: 1 / mean |weight| of each column.
std::vector<float> data_free_awq_scales(const ConstantValue& weight, const MatrixLayout& layout, bool shared, ThreadPool& threads);

}  // namespace nibble
