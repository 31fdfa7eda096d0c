#pragma once

#include <vector>

#include "base/thread_pool.hpp"
#include "graph/constant.hpp"

namespace nibble {

/// How a weight suffers from 8-bit codes, by itself.
enum class WeightSensitivity {
  /// 1 / (error + epsilon), where the error is the largest mean square difference of an output channel between the weight and its int8_asym
  /// version, and epsilon that of the weight's element type (NNCF's weight_quantization_error).
  inverse_error,
  /// The same as a factor of a score that takes activations: bf16 weights have f32's epsilon there.
  inverse_error_with_data,
  norm,  ///< Frobenius norm of the difference (NNCF's hessian_input_activation)
};

/// Layers with low scores take few bits first.
double weight_sensitivity(const ConstantValue& weight, const std::vector<size_t>& reduction_axes, ThreadPool& threads,
                          WeightSensitivity kind = WeightSensitivity::inverse_error);

}  // namespace nibble
