#pragma once

#include <span>
#include <unordered_map>
#include <unordered_set>

#include "device/cpu/pattern_match.hpp"

namespace nibble {

/// Norms over f32 rows of known width among nodes that are run together, for one kernel each in the place of several operations.
struct FusedNorms {
  std::unordered_map<const Node*, cpu::NormMatch> results;  ///< by the node that gives the norm's result
  std::unordered_set<const Node*> inner;                    ///< nodes that nothing else reads
};

/// `nodes` in order of execution; what `kept` names is not taken for inner.
FusedNorms find_norms(std::span<Node* const> nodes, std::span<const Value> kept, cpu::ConstantValues& constants);

}  // namespace nibble
