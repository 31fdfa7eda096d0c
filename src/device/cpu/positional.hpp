#pragma once

#include <unordered_map>
#include <vector>

#include "base/thread_pool.hpp"
#include "device/cpu/token_axes.hpp"
#include "device/cpu/token_dependence.hpp"
#include "graph/graph.hpp"

namespace nibble::cpu {

/// Tokens of one sequence: `count` after `past`.
struct TokenWindow {
  int64_t count = 1, past = 0;
};

/// Computes values of a graph that depend on positions and lengths alone (rotary tables, learned positions, masks) by the operations'
/// `evaluate`, for one sequence without padding. Immutable after construction but for a memory of constants; not thread-safe.
class PositionalValues {
 public:
  /// Infers the graph's shapes for several windows to learn how they depend on them, and leaves those of one token after none.
  /// Throws Error{unsupported} where a shape depends on more than lengths.
  PositionalValues(Graph& graph, const TokenDependence& dependence, ThreadPool& threads);

  /// Which dimensions of the graph's values count tokens.
  TokenAxes& token_axes() { return axes_; }

  /// The values for a window: shapes with a batch of 1.
  std::vector<Tensor> evaluate(const std::vector<Value>& values, TokenWindow window) const;

 private:
  /// A dimension: at (1, 0) + per token after the first + per past token.
  struct Dimension {
    int64_t base = 0, per_token = 0, per_past = 0;
  };
  using Dimensions = std::vector<Dimension>;
  using Shapes = std::unordered_map<const Node*, Shape>;  // of inputs of ShapeOf, by the ShapeOf node

  static void set_window(Graph& graph, TokenWindow window);
  Shapes infer(Graph& graph, TokenWindow window) const;
  void learn_shapes(Graph& graph);
  Tensor input(const Node& parameter, TokenWindow window) const;
  Tensor shape(const Node& shape_of, TokenWindow window) const;
  std::vector<Tensor> compute(const Node& node, TokenWindow window, const std::unordered_map<const Node*, std::vector<Tensor>>& done) const;

  const TokenDependence& dependence_;
  ThreadPool& threads_;
  TokenAxes axes_;
  std::vector<Node*> order_;  // positional nodes
  std::unordered_map<const Node*, Dimensions> dimensions_;
  std::unordered_map<const Node*, Tensor> constants_;
};

}  // namespace nibble::cpu
