#include "passes/decompress_in_f32.hpp"

#include <algorithm>
#include <unordered_set>

#include "passes/constant_folding.hpp"

namespace nibble {

namespace {

using NodeSet = std::unordered_set<const Node*>;

bool is_arithmetic(const Node& node) { return node.is("Multiply") || node.is("Subtract"); }

bool is_table_of_gather(const Node::Use& use) { return use.node->is("Gather") && use.input == 0; }

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

/// The nodes whose results only become weights of MatMul and tables of Gather layers: what a device can keep compressed.
NodeSet weights_of_layers(const std::vector<Node*>& chain) {
  NodeSet found;
  for (auto node = chain.rbegin(); node != chain.rend(); ++node) {
    auto uses = (*node)->uses();
    bool only_layers = std::all_of(uses.begin(), uses.end(), [&](const Node::Use& use) {
      bool passes_on = use.node->is("Convert") || use.node->is("Reshape");
      return use.node->is("MatMul") || is_table_of_gather(use) || (passes_on && found.count(use.node));
    });
    if (only_layers) found.insert(*node);
  }
  return found;
}

class Retyping {
 public:
  explicit Retyping(Graph& graph)
      : graph_(graph), nodes_(constant_subgraph(graph)), chain_(nodes_.begin(), nodes_.end()), weights_(weights_of_layers(nodes_)) {}

  void run() {
    for (Node* node : nodes_) {
      ElementType before = node->output_info().type;
      bool in_half = is_arithmetic(*node) && before == ElementType::f16;
      if (in_half)
        for (size_t i = 0; i < node->input_count(); ++i) node->set_input(i, in_f32(graph_, node->input(i)));
      node->infer();
      bool continues = std::any_of(node->inputs().begin(), node->inputs().end(), [&](Value v) { return exact_.count(v.node) > 0; });
      if (!in_half && !continues) continue;
      exact_.insert(node);
      round_for_readers(*node, before);
    }
  }

 private:
  void round_for_readers(Node& node, ElementType before) {
    for (const auto& use : node.uses()) {
      if (chain_.count(use.node)) continue;
      bool takes_exact = before != ElementType::f16 && (weights_.count(&node) || is_table_of_gather(use));
      if (takes_exact || !is_float(before)) continue;
      Value rounded = convert_to(graph_, node.output(), ElementType::f16);
      use.node->set_input(use.input, before == ElementType::f16 ? rounded : convert_to(graph_, rounded, before));
    }
  }

  Graph& graph_;
  std::vector<Node*> nodes_;
  NodeSet chain_, weights_;
  NodeSet exact_;  // results that f16 arithmetic would have rounded
};

}  // namespace

void decompress_in_f32(Graph& graph) { Retyping(graph).run(); }

}  // namespace nibble
