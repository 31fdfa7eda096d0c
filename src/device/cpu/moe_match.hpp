#pragma once

#include <optional>
#include <vector>

#include "device/cpu/expert_match.hpp"

namespace nibble::cpu {

/// A mixture of experts: the sum over the chosen experts of weight * what the expert makes of x.
struct MoeMatch {
  Value x;        ///< [tokens, hidden], in any shape of as many elements
  Value chosen;   ///< [tokens, k]: indices of experts
  Value weights;  ///< [tokens, k]
  /// One for every expert, or one with constants [experts, rows, columns] for all. Their x is the graph's, not ours.
  std::vector<ExpertMatch> experts;
  size_t count = 0;  ///< of experts
};

/// With `value` as the sum. Knows experts in stacked constants (ReduceSum over all experts of outputs times scattered weights) and a loop
/// over experts that was unrolled (a chain of ScatterElementsUpdate that adds the outputs of each).
std::optional<MoeMatch> match_moe(Value value, ConstantValues& constants);

}  // namespace nibble::cpu
