#pragma once

#include <vector>

#include "base/thread_pool.hpp"
#include "graph/constant.hpp"

namespace nibble {

/// How much a layer suffers from 8-bit codes, by its weight alone: 1 / (error + epsilon), where the error is the largest mean square
/// difference of an output channel between the weight and its int8_asym version, and epsilon that of the weight's element type
/// (NNCF's weight_quantization_error). Layers with low scores take few bits first.
double weight_sensitivity(const ConstantValue& weight, const std::vector<size_t>& reduction_axes, ThreadPool& threads);

}  // namespace nibble
