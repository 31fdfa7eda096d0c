#include "device/cpu/lowering/graph_patterns.hpp"

namespace nibble::cpu {

namespace {

std::optional<Pattern> match_pattern(Value value, ConstantValues& constants) {
  if (auto moe = match_moe(value, constants)) return *moe;
  if (auto conv = match_conv(value, constants)) return *conv;
  if (auto norm = match_norm(value, constants)) return *norm;
  if (auto gated = match_gated(value, constants)) return *gated;
  if (auto linear = match_linear(value, constants)) return *linear;
  return std::nullopt;
}

std::vector<Value> inputs_of(const MoeMatch& moe) { return {moe.x, moe.chosen, moe.weights}; }
std::vector<Value> inputs_of(const ConvMatch& conv) { return {conv.x}; }
std::vector<Value> inputs_of(const NormMatch& norm) { return {norm.x}; }
std::vector<Value> inputs_of(const GatedMatch& gated) { return {gated.gate, gated.up}; }
std::vector<Value> inputs_of(const LinearMatch& linear) { return {linear.x}; }

}  // namespace

GraphPatterns::GraphPatterns(PlanBuilder& builder, Value result) {
  for (const auto& node : builder.graph().nodes())
    if (node->output_count() == 1 && builder.is_hidden(*node))
      if (auto pattern = match_pattern(node->output(), builder.constants())) patterns_.emplace(node.get(), std::move(*pattern));
  for (const auto& [node, pattern] : patterns_)
    if (auto moe = std::get_if<MoeMatch>(&pattern)) find_routers(*moe, builder);
  find_needed(result, builder);
}

const Pattern* GraphPatterns::find(const Node& node) const {
  auto found = patterns_.find(&node);
  return found == patterns_.end() ? nullptr : &found->second;
}

const LinearMatch* GraphPatterns::find_linear(const Node& node) const { return std::get_if<LinearMatch>(find(node)); }

/// The products that an expert's choice is computed from.
void GraphPatterns::find_routers(const MoeMatch& moe, const PlanBuilder& builder) {
  std::vector<const Node*> pending{moe.chosen.node, moe.weights.node};
  std::unordered_set<const Node*> seen;
  while (!pending.empty()) {
    const Node* node = pending.back();
    pending.pop_back();
    if (!seen.insert(node).second || !builder.is_hidden(*node) || node->is("ShapeOf")) continue;
    if (find_linear(*node)) {
      routers_.insert(node);
      continue;
    }
    for (Value input : node->inputs()) pending.push_back(input.node);
  }
}

void GraphPatterns::find_needed(Value result, const PlanBuilder& builder) {
  std::vector<const Node*> pending{result.node};
  while (!pending.empty()) {
    const Node* node = pending.back();
    pending.pop_back();
    if (!needed_.insert(node).second || !builder.is_hidden(*node)) continue;
    for (Value input : inputs_of(*node)) pending.push_back(input.node);
  }
}

std::vector<Value> GraphPatterns::inputs_of(const Node& node) const {
  if (const Pattern* pattern = find(node)) return std::visit([](const auto& match) { return cpu::inputs_of(match); }, *pattern);
  if (node.is("ShapeOf")) return {};
  return node.inputs();
}

}  // namespace nibble::cpu
