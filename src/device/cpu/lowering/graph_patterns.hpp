#pragma once

#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "device/cpu/conv_step.hpp"
#include "device/cpu/lowering/plan_builder.hpp"
#include "device/cpu/moe_match.hpp"
#include "device/cpu/pattern_match.hpp"

namespace nibble::cpu {

/// Operations that become one step, by the node that gives their result.
using Pattern = std::variant<MoeMatch, ConvMatch, NormMatch, GatedMatch, LinearMatch>;

/// The patterns that a graph is made of, and which of its nodes its result needs then. Immutable after construction.
class GraphPatterns {
 public:
  GraphPatterns(PlanBuilder& builder, Value result);

  /// The pattern that a node is the result of; nullptr: none.
  const Pattern* find(const Node& node) const;
  const LinearMatch* find_linear(const Node& node) const;
  /// Whether an expert's choice is computed from this product.
  bool is_router(const Node& node) const { return routers_.count(&node) > 0; }
  /// Whether the result needs this node, which is not inside of a pattern.
  bool is_needed(const Node& node) const { return needed_.count(&node) > 0; }

 private:
  void find_routers(const MoeMatch& moe, const PlanBuilder& builder);
  void find_needed(Value result, const PlanBuilder& builder);
  std::vector<Value> inputs_of(const Node& node) const;

  std::unordered_map<const Node*, Pattern> patterns_;
  std::unordered_set<const Node*> routers_, needed_;
};

}  // namespace nibble::cpu
