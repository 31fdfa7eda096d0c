#pragma once

#include "graph/graph.hpp"

namespace nibble {

/// A layer by itself: a graph of its own with the layer, what computes its constant input `port`, and parameters in the place of its other
/// inputs, unless these are constants. Weights are shared, not copied. Movable; nodes keep their addresses.
struct LayerCopy {
  Graph graph;
  Node* layer = nullptr;
  size_t port = 0;

  Value weight() const { return layer->input(port); }
};

LayerCopy copy_layer(const Node& layer, size_t port);

/// A graph with the same nodes, names and notes. Constants are shared.
Graph copy_graph(const Graph& graph);

}  // namespace nibble
