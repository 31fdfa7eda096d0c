#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/thread_pool.hpp"
#include "graph/graph.hpp"

namespace nibble::cpu {

/// Values of a graph that depend on constants alone, computed when asked for (so that weights stay compressed) and remembered while small.
/// Not thread-safe; the graph must not change.
class ConstantValues {
 public:
  ConstantValues(const Graph& graph, ThreadPool& threads);

  bool is_constant(Value value) const { return constant_.count(value.node) > 0; }
  /// Throws Error{unsupported} for a value that is not constant.
  Tensor tensor(Value value);
  /// The value as floats or integers.
  std::vector<float> floats(Value value);
  std::vector<int64_t> integers(Value value);
  /// The one float that every element of a constant is, if so.
  bool is_uniform(Value value, float& uniform);

 private:
  std::vector<Node*> pending_of(Node* root) const;

  ThreadPool& threads_;
  std::unordered_set<const Node*> constant_;
  std::unordered_map<const Node*, std::vector<Tensor>> values_;
};

}  // namespace nibble::cpu
