#pragma once

#include "base/thread_pool.hpp"
#include "device/cpu/plan.hpp"
#include "device/cpu/positional.hpp"
#include "graph/graph.hpp"

namespace nibble::cpu {

/// A positional value that steps read: where its rows go.
struct PositionalSlot {
  Value value;
  View view;
  size_t token_axis = 0;  ///< of the value's shape; dimensions before it are 1
};

/// A language model lowered to a plan over rows of tokens. Holds the graph, which positional values and operations that are not fused need.
struct LoweredModel {
  Graph graph;
  Plan plan;
  std::unique_ptr<TokenDependence> dependence;
  std::unique_ptr<PositionalValues> positional;
  std::vector<PositionalSlot> positional_slots;
};

/// Lowers a stateful language model (inputs input_ids, beam_idx, ...; output logits; a cache of keys and values as state) for one row per
/// token: the graph is interpreted for a batch of one sequence of one token, in which every value is either known, or positional, or a form
/// of what kernels compute (see form.hpp). Weights are asked for in plan.weight_requests and not yet packed. nullptr for graphs that are
/// not of this kind: `obstacle` then says what is in the way, and the graph computes what it did before.
std::unique_ptr<LoweredModel> lower(Graph& graph, const Precision& precision, ThreadPool& threads, std::string& obstacle);

}  // namespace nibble::cpu
