#pragma once

#include <unordered_map>

#include "graph/graph.hpp"

namespace nibble {

/// For the layers of mixtures of experts: what part of a weight (by what the product reads it from) a token multiplies with, the
/// experts that are chosen of all there are. Not in it: weights that every token needs.
std::unordered_map<const Node*, double> expert_use(const Graph& graph);

}  // namespace nibble
