#include "pipeline/expert_use.hpp"

#include <algorithm>

#include "base/thread_pool.hpp"
#include "device/cpu/moe_match.hpp"

namespace nibble {

namespace {

/// Whether the node may be the sum over experts; not where it is a link within a chain of sums.
bool may_end_mixture(Node& node) {
  if (node.is("ReduceSum")) return true;
  if (!node.is("ScatterElementsUpdate")) return false;
  auto uses = node.uses();
  return std::none_of(uses.begin(), uses.end(),
                      [](const Node::Use& use) { return use.node->is("ScatterElementsUpdate") && use.input == 0; });
}

/// 1 where the number of chosen experts is not in the graph.
double chosen_share(const cpu::MoeMatch& moe) {
  const PartialShape& shape = moe.chosen.shape();
  if (!shape.rank_is_known() || shape.rank() == 0 || moe.count == 0) return 1;
  int64_t chosen = shape[shape.rank() - 1];
  return chosen < 1 ? 1 : std::min(1.0, static_cast<double>(chosen) / static_cast<double>(moe.count));
}

}  // namespace

std::unordered_map<const Node*, double> expert_use(const Graph& graph) {
  ThreadPool threads(1);
  cpu::ConstantValues constants(graph, threads);
  std::unordered_map<const Node*, double> use;
  for (Node* node : graph.topological_order()) {
    if (!may_end_mixture(*node)) continue;
    auto moe = cpu::match_moe(node->output(), constants);
    if (!moe) continue;
    for (const cpu::ExpertMatch& expert : moe->experts)
      for (const cpu::ExpertProduct* product : {&expert.gate, &expert.up, &expert.down})
        if (product->weight) use[product->weight.node] = chosen_share(*moe);
  }
  return use;
}

}  // namespace nibble
