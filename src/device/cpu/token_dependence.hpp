#pragma once

#include <unordered_set>

#include "graph/graph.hpp"

namespace nibble::cpu {

/// What the nodes of a language model's graph depend on.
class TokenDependence {
 public:
  explicit TokenDependence(const Graph& graph);

  /// Depends on token ids or on the state: hidden states, queries, logits.
  bool is_hidden(const Node& node) const { return hidden_.count(&node) > 0; }
  /// Depends on nothing but positions, masks and lengths: rotary tables, attention masks, shapes.
  bool is_positional(const Node& node) const { return positional_.count(&node) > 0; }
  bool is_constant(const Node& node) const { return !is_hidden(node) && !is_positional(node); }

 private:
  std::unordered_set<const Node*> hidden_, positional_;
};

}  // namespace nibble::cpu
