#pragma once

#include <optional>
#include <vector>

#include "device/cpu/pattern_match.hpp"

namespace nibble::cpu {

/// A mixture of experts: the sum over the chosen experts of weight * down(activation(gate(x)) * up(x)).
struct MoeMatch {
  Value x;        ///< [tokens, hidden], in any shape of as many elements
  Value chosen;   ///< [tokens, k]: indices of experts
  Value weights;  ///< [tokens, k]
  Activation activation = Activation::silu;
  /// One matrix for every expert, or one constant [experts, rows, columns] for all.
  std::vector<Value> gate, up, down;
};

/// With `value` as the sum. Knows experts in stacked constants (ReduceSum over all experts of outputs times scattered weights) and a loop
/// over experts that was unrolled (a chain of ScatterElementsUpdate that adds the outputs of each).
std::optional<MoeMatch> match_moe(Value value, ConstantValues& constants);

}  // namespace nibble::cpu
