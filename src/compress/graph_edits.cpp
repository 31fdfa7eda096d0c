#include "compress/graph_edits.hpp"

namespace nibble {

GraphEdits::~GraphEdits() {
  for (auto edit = constants_.rbegin(); edit != constants_.rend(); ++edit) edit->first->set_constant(edit->second);
  for (auto edit = inputs_.rbegin(); edit != inputs_.rend(); ++edit) edit->node->set_input(edit->index, edit->before);
  if (!inputs_.empty()) graph_.remove_unused();
}

void GraphEdits::set_constant(Node& node, ConstantValue value) {
  constants_.emplace_back(&node, node.constant());
  node.set_constant(std::move(value));
}

void GraphEdits::set_input(Node& node, size_t input, Value value) {
  inputs_.push_back({&node, input, node.input(input)});
  node.set_input(input, value);
}

void GraphEdits::keep() {
  constants_.clear();
  inputs_.clear();
}

}  // namespace nibble
