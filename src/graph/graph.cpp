#include "graph/graph.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.hpp"
#include "graph/op_set.hpp"

namespace nibble {

const RtInfo* RtInfo::find(std::string_view child) const {
  for (const auto& entry : children)
    if (entry.name == child) return &entry;
  return nullptr;
}

RtInfo& RtInfo::child(std::string_view key) {
  for (auto& entry : children)
    if (entry.name == key) return entry;
  children.push_back({std::string(key), {}, false, false, {}});
  return children.back();
}

void RtInfo::set(std::string_view key, std::string text) {
  RtInfo& entry = child(key);
  entry.value = std::move(text);
  entry.is_leaf = true;
}

namespace {

const OpDef& require_op(std::string_view type, std::string_view opset, const std::string& name) {
  const OpDef* op = find_op(type);
  if (!op)
    fail(ErrorKind::unsupported, "layer '{}': operation {} ({}) is not known to Nibble", name, type, opset.empty() ? "any opset" : opset);
  if (!opset.empty() && std::find(op->opsets.begin(), op->opsets.end(), opset) == op->opsets.end())
    fail(ErrorKind::unsupported, "layer '{}': {} of {} is not known to Nibble (known: {})", name, type, opset, fmt::join(op->opsets, ", "));
  return *op;
}

}  // namespace

Node& Graph::add_unlinked(std::string_view type, size_t input_count, Attributes attributes, std::string name, std::string_view opset) {
  const OpDef& op = require_op(type, opset, name);
  std::unique_ptr<Node> node(new Node);
  node->op_ = &op;
  node->opset_ = opset.empty() ? op.opsets.back() : opset;
  node->name_ = name.empty() ? fmt::format("{}_{}", op.type, next_name_++) : std::move(name);
  node->attributes_ = std::move(attributes);
  node->inputs_.resize(input_count);
  node->outputs_.resize(op.outputs < 0 ? 0 : static_cast<size_t>(op.outputs));
  nodes_.push_back(std::move(node));
  return *nodes_.back();
}

Node& Graph::add(std::string_view type, std::vector<Value> inputs, Attributes attributes, std::string name, std::string_view opset) {
  Node& node = add_unlinked(type, inputs.size(), std::move(attributes), std::move(name), opset);
  for (size_t i = 0; i < inputs.size(); ++i) node.set_input(i, inputs[i]);
  node.infer();
  return node;
}

Node& Graph::add_constant(ConstantValue value, std::string name) {
  Node& node = add_unlinked("Constant", 0, {}, std::move(name), {});
  node.set_constant(std::move(value));
  return node;
}

Node& Graph::add_parameter(ElementType type, PartialShape shape, std::string name) {
  Attributes attributes{{"shape", to_string(shape)}, {"element_type", std::string(to_string(type))}};
  Node& node = add("Parameter", {}, std::move(attributes), name);
  node.output_info().names.insert(std::move(name));
  return node;
}

void Graph::replace_uses(Value from, Value to, const Node* except) {
  for (const auto& use : from.node->uses(from.index)) {
    if (use.node == except) continue;
    if (use.node->is("Result")) {
      auto& names = from.node->output_info(from.index).names;
      to.node->output_info(to.index).names.merge(names);
    }
    use.node->set_input(use.input, to);
  }
}

void Graph::remove_unused() {
  std::unordered_set<const Node*> needed;
  for (Node* node : topological_order()) needed.insert(node);
  for (auto& node : nodes_)
    if (!needed.count(node.get()))
      for (size_t i = 0; i < node->input_count(); ++i) node->set_input(i, {});
  std::erase_if(nodes_, [&](const auto& node) { return !needed.count(node.get()); });
}

std::vector<Node*> Graph::of_type(std::string_view type) const {
  std::vector<Node*> found;
  for (const auto& node : nodes_)
    if (node->is(type)) found.push_back(node.get());
  return found;
}

Node* Graph::find_parameter(std::string_view tensor_name) const {
  for (Node* node : parameters())
    if (node->output_info().names.count(std::string(tensor_name)) || node->name() == tensor_name) return node;
  return nullptr;
}

Node* Graph::find_result(std::string_view tensor_name) const {
  for (Node* node : results()) {
    Value source = node->input(0);
    if (node->output_info().names.count(std::string(tensor_name))) return node;
    if (source.node->output_info(source.index).names.count(std::string(tensor_name))) return node;
  }
  return nullptr;
}

std::vector<Node*> Graph::topological_order() const {
  enum class State { open, done };
  std::unordered_map<const Node*, State> state;
  std::vector<Node*> order;
  struct Frame {
    Node* node;
    size_t next_input;
  };
  auto visit = [&](Node* root) {
    if (state.count(root)) return;
    std::vector<Frame> stack{{root, 0}};
    state[root] = State::open;
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (frame.next_input == frame.node->input_count()) {
        state[frame.node] = State::done;
        order.push_back(frame.node);
        stack.pop_back();
        continue;
      }
      Node* input = frame.node->input(frame.next_input++).node;
      if (!input) continue;
      auto [found, fresh] = state.emplace(input, State::open);
      if (fresh)
        stack.push_back({input, 0});
      else if (found->second == State::open)
        fail(ErrorKind::corrupt, "the graph has a cycle through {}", describe(*input));
    }
  };
  for (const auto& node : nodes_)
    if (node->is("Parameter")) visit(node.get());
  for (const auto& node : nodes_)
    if (node->is("Result")) visit(node.get());
  for (const auto& node : nodes_)
    if (node->is("Assign")) visit(node.get());
  return order;
}

void Graph::infer() {
  for (Node* node : topological_order()) node->infer();
}

}  // namespace nibble
