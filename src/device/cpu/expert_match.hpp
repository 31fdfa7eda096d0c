#pragma once

#include <optional>

#include "device/cpu/pattern_match.hpp"

namespace nibble::cpu {

/// x weight^T [+ bias]
struct ExpertProduct {
  Value x, weight;
  Value bias;  ///< constant; no node: none
};

/// (clamp(up, -limit, limit) + 1) * g / (1 + exp(-slope * g)) with g = min(gate, limit)
struct ClampedGate {
  float limit = 0, slope = 0;
};

/// down(activation(gate(x)) * up(x)), or with a clamped gate in between.
struct ExpertMatch {
  ExpertProduct gate, up, down;  ///< gate and up read the same x
  bool is_interleaved = false;   ///< gate is one product whose even and odd columns are gate and up; there is no up
  Activation activation = Activation::silu;
  std::optional<ClampedGate> clamped;
};

/// With `value` as the result of down. One expert, or all in stacked constants.
std::optional<ExpertMatch> match_expert(Value value, ConstantValues& constants);

}  // namespace nibble::cpu
