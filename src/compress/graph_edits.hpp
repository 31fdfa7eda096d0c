#pragma once

#include <utility>
#include <vector>

#include "graph/graph.hpp"

namespace nibble {

/// Changes to a graph that are taken back unless they are kept: what fails half-way leaves the graph as it was. Works on one graph, which
/// must outlive it; not thread-safe.
class GraphEdits {
 public:
  explicit GraphEdits(Graph& graph) : graph_(graph) {}
  ~GraphEdits();
  GraphEdits(const GraphEdits&) = delete;
  GraphEdits& operator=(const GraphEdits&) = delete;

  void set_constant(Node& node, ConstantValue value);
  /// Nodes that are read by `value` alone disappear when the edit is taken back.
  void set_input(Node& node, size_t input, Value value);
  void keep();

 private:
  struct Input {
    Node* node;
    size_t index;
    Value before;
  };
  Graph& graph_;
  std::vector<std::pair<Node*, ConstantValue>> constants_;
  std::vector<Input> inputs_;
};

}  // namespace nibble
