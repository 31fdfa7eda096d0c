#include "passes/decompress_in_f32.hpp"

#include <algorithm>
#include <unordered_set>

#include "passes/constant_folding.hpp"

namespace nibble {

namespace {

bool is_arithmetic(const Node& node) { return node.is("Multiply") || node.is("Subtract"); }

Value convert_to(Graph& graph, Value value, ElementType type) {
  return graph.add("Convert", {value}, {{"destination_type", std::string(to_string(type))}}).output();
}

/// The value before its rounding to f16, where that is all its producer does.
Value in_f32(Graph& graph, Value value) {
  if (value.type() == ElementType::f32) return value;
  const Node& producer = *value.node;
  bool exact = producer.is("Convert") && producer.input(0).type() != ElementType::f32;
  return convert_to(graph, exact ? producer.input(0) : value, ElementType::f32);
}

bool feeds_matmul(const Node& node) {
  auto uses = node.uses();
  return std::any_of(uses.begin(), uses.end(), [](const Node::Use& use) { return use.node->is("MatMul"); });
}

/// Restores the type that a reader of a retyped node counts on, and the rounding of shared results.
void round_where_needed(Graph& graph, Node& node, ElementType before, const std::unordered_set<const Node*>& chain) {
  auto uses = node.uses();
  for (const auto& use : uses) {
    bool shared = uses.size() > 1 && use.node->is("Convert") && feeds_matmul(*use.node);
    if (shared || !chain.count(use.node)) use.node->set_input(use.input, convert_to(graph, node.output(), before));
  }
}

}  // namespace

void decompress_in_f32(Graph& graph) {
  auto nodes = constant_subgraph(graph);
  std::unordered_set<const Node*> chain(nodes.begin(), nodes.end());
  for (Node* node : nodes) {
    ElementType before = node->output_info().type;
    if (is_arithmetic(*node) && before == ElementType::f16)
      for (size_t i = 0; i < node->input_count(); ++i) node->set_input(i, in_f32(graph, node->input(i)));
    node->infer();
    if (node->output_info().type != before) round_where_needed(graph, *node, before, chain);
  }
}

}  // namespace nibble
