#pragma once

#include <unordered_set>
#include <vector>

#include "graph/graph.hpp"

namespace nibble {

/// A graph as NNCF walks it. Which layer is the last one, and which of two equally sensitive layers comes first, hang on
/// this order, so it is reproduced.
struct LayerOrder {
  std::vector<Node*> nodes;
  std::unordered_set<const Node*> activations;  ///< nodes that depend on a Parameter or ReadValue
};

/// Nodes are numbered breadth first from Parameters and ReadValues, consumers by name, then the rest (constants and what is
/// computed from them) in the order of OpenVINO's Model::get_ops. The result is the topological order that always takes the
/// lowest number that is ready.
LayerOrder layer_order(const Graph& graph);

}  // namespace nibble
