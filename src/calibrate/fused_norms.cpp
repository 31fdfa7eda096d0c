#include "calibrate/fused_norms.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace nibble {

namespace {

bool has_float_rows(Value x) {
  const PartialShape& shape = x.shape();
  return x.type() == ElementType::f32 && shape.rank_is_known() && shape.rank() > 0 && shape.dims().back() > 0;
}

/// Finds what lies between a norm's input and its result.
class InnerNodes {
 public:
  InnerNodes(std::span<Node* const> nodes, std::span<const Value> kept, const cpu::ConstantValues& constants)
      : nodes_(nodes.begin(), nodes.end()), constants_(constants) {
    for (Value value : kept) kept_.insert(value.node);
  }

  /// Nothing when something else reads them, too.
  std::optional<std::unordered_set<const Node*>> between(const Node& result, Value x) const {
    std::unordered_set<const Node*> inner;
    std::vector<const Node*> pending{&result};
    while (!pending.empty()) {
      const Node* node = pending.back();
      pending.pop_back();
      for (Value input : node->inputs()) {
        if (input == x || constants_.is_constant(input) || !inner.insert(input.node).second) continue;
        if (!nodes_.count(input.node) || kept_.count(input.node)) return std::nullopt;
        pending.push_back(input.node);
      }
    }
    auto stays_inside = [&](const Node::Use& use) { return use.node == &result || inner.count(use.node) > 0; };
    for (const Node* node : inner) {
      auto uses = node->uses();
      if (!std::all_of(uses.begin(), uses.end(), stays_inside)) return std::nullopt;
    }
    return inner;
  }

 private:
  std::unordered_set<const Node*> nodes_, kept_;
  const cpu::ConstantValues& constants_;
};

}  // namespace

FusedNorms find_norms(std::span<Node* const> nodes, std::span<const Value> kept, cpu::ConstantValues& constants) {
  FusedNorms found;
  InnerNodes inner_nodes(nodes, kept, constants);
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    if (found.inner.count(*node) || (*node)->output_count() != 1) continue;
    auto match = cpu::match_norm((*node)->output(), constants);
    if (!match || !has_float_rows(match->x)) continue;
    auto inner = inner_nodes.between(**node, match->x);
    if (!inner) continue;
    found.results.emplace(*node, *match);
    found.inner.merge(*inner);
  }
  return found;
}

}  // namespace nibble
