#include "device/cpu/token_dependence.hpp"

#include <algorithm>

namespace nibble::cpu {

namespace {

bool has_name(const Node& node, std::string_view name) {
  const auto& names = node.output_info().names;
  return names.count(std::string(name)) > 0 || node.name() == name;
}

}  // namespace

TokenDependence::TokenDependence(const Graph& graph) {
  for (Node* node : graph.topological_order()) {
    auto any = [&](const auto& set) {
      return std::any_of(node->inputs().begin(), node->inputs().end(), [&](Value v) { return set.count(v.node) > 0; });
    };
    if (node->is("Parameter")) {
      (has_name(*node, "input_ids") ? hidden_ : positional_).insert(node);
    } else if (node->is("ReadValue")) {
      hidden_.insert(node);
    } else if (node->is("ShapeOf")) {
      if (any(hidden_) || any(positional_)) positional_.insert(node);
    } else if (any(hidden_)) {
      hidden_.insert(node);
    } else if (any(positional_)) {
      positional_.insert(node);
    }
  }
}

}  // namespace nibble::cpu
