#pragma once

#include <span>
#include <vector>

#include "compress/activation_statistics.hpp"
#include "compress/compression_methods.hpp"
#include "compress/group_scales.hpp"
#include "compress/quantize.hpp"
#include "compress/weight_matrix.hpp"

namespace nibble {

/// Two small matrices whose product is added to a compressed weight: a [rank, columns], b [rows, rank], f32.
struct LoraAdapters {
  Tensor a, b;
};

/// Adapters that make up for what a weight [rows, columns] loses, above all for typical inputs: NNCF 3.4's LoRA correction. The error's
/// principal part, weighted by the inputs, then alternating least squares; docs/quantization.md. `given` holds scales to use in place of
/// those of the range. One matrix, integer and nf4 modes. Keeps the error matrix in memory.
LoraAdapters lora_adapters(const ConstantValue& weight, const MatrixLayout& layout, const QuantizeRule& rule, const GroupScales* given,
                           const ActivationStatistics& inputs, bool grouped, const LoraCorrectionParameters& parameters,
                           ThreadPool& threads);

}  // namespace nibble
