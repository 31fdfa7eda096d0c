#include "graph/node.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "graph/op_set.hpp"

namespace nibble {

std::string_view Node::type() const { return op_->type; }

std::string describe(const Node& node) { return fmt::format("{} '{}'", node.type(), node.name()); }

void Node::set_input(size_t i, Value value) {
  Use use{this, i};
  if (inputs_[i]) {
    auto& old = inputs_[i].node->uses_;
    auto found = std::find(old.begin(), old.end(), std::pair(inputs_[i].index, use));
    if (found != old.end()) old.erase(found);
  }
  inputs_[i] = value;
  if (value) value.node->uses_.emplace_back(value.index, use);
}

std::vector<Node::Use> Node::uses(size_t i) const {
  std::vector<Use> found;
  for (const auto& [output, use] : uses_)
    if (output == i) found.push_back(use);
  return found;
}

void Node::set_constant(ConstantValue value) {
  constant_ = std::move(value);
  outputs_[0].type = constant_.type();
  outputs_[0].shape = constant_.shape();
}

void Node::infer() {
  auto count = static_cast<int>(inputs_.size());
  if (count < op_->min_inputs || (op_->max_inputs >= 0 && count > op_->max_inputs))
    fail(ErrorKind::corrupt, "{} has {} inputs, which {} does not take", describe(*this), count, op_->type);
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (!inputs_[i]) fail(ErrorKind::corrupt, "{}: input {} is not connected", describe(*this), i);
  try {
    op_->infer(*this);
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", describe(*this), error.what());
  }
}

}  // namespace nibble
