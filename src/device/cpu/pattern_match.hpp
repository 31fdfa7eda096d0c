#pragma once

#include <optional>

#include "device/cpu/constant_values.hpp"
#include "device/cpu/kernels/row_ops.hpp"

namespace nibble::cpu {

/// x / sqrt(mean(x^2) + epsilon) [* weight], or (x - mean) / sqrt(variance + epsilon) [* weight] [+ bias], over the last dimension.
struct NormMatch {
  bool is_layer_norm = false;
  Value x;
  Value weight, bias;  ///< constants; no node: none
  float epsilon = 0;
};
/// With `value` as the result of the whole pattern.
std::optional<NormMatch> match_norm(Value value, ConstantValues& constants);

/// An activation of one input.
struct ActivationMatch {
  Activation activation;
  Value x;
};
std::optional<ActivationMatch> match_activation(Value value, ConstantValues& constants);

/// activation(gate) * up
struct GatedMatch {
  Activation activation;
  Value gate, up;
};
std::optional<GatedMatch> match_gated(Value value, ConstantValues& constants);

/// x weight^T [+ bias]
struct LinearMatch {
  Node* matmul = nullptr;
  Value x, weight;
  Value bias;  ///< constant; no node: none
};
std::optional<LinearMatch> match_linear(Value value, ConstantValues& constants);

}  // namespace nibble::cpu
