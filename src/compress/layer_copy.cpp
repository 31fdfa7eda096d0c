#include "compress/layer_copy.hpp"

#include <string>
#include <unordered_map>
#include <vector>

namespace nibble {

namespace {

/// What `root` depends on, inputs first, itself last.
std::vector<Node*> chain_of(Node* root) {
  std::vector<Node*> order, stack{root};
  std::unordered_map<const Node*, bool> placed;
  while (!stack.empty()) {
    Node* node = stack.back();
    bool is_ready = placed.count(node) > 0;
    if (!is_ready) placed[node] = false;
    for (Value input : node->inputs())
      if (!placed.count(input.node)) stack.push_back(input.node);
    if (stack.back() != node) continue;
    stack.pop_back();
    if (!placed[node]) order.push_back(node);
    placed[node] = true;
  }
  return order;
}

}  // namespace

LayerCopy copy_layer(const Node& layer, size_t port) {
  LayerCopy copy;
  copy.port = port;
  std::unordered_map<const Node*, Node*> copies;
  Value root = layer.input(port);
  for (Node* node : chain_of(root.node)) {
    std::vector<Value> inputs;
    for (Value input : node->inputs()) inputs.push_back(copies.at(input.node)->output(input.index));
    Node& made = node->is("Constant") ? copy.graph.add_constant(node->constant(), node->name())
                                      : copy.graph.add(node->type(), inputs, node->attributes(), node->name(), node->opset());
    made.rt_info() = node->rt_info();
    copies[node] = &made;
  }
  std::vector<Value> inputs(layer.input_count());
  for (size_t i = 0; i < inputs.size(); ++i) {
    Value input = layer.input(i);
    if (i == port)
      inputs[i] = copies.at(root.node)->output(root.index);
    else if (input.node->is("Constant"))
      inputs[i] = copy.graph.add_constant(input.node->constant(), input.node->name()).output();
    else
      inputs[i] = copy.graph.add_parameter(input.type(), input.shape(), "x" + std::to_string(i)).output();
  }
  copy.layer = &copy.graph.add(layer.type(), inputs, layer.attributes(), layer.name(), layer.opset());
  copy.graph.add("Result", {copy.layer->output()});
  return copy;
}

Graph copy_graph(const Graph& graph) {
  Graph copy;
  copy.name() = graph.name();
  copy.rt_info() = graph.rt_info();
  std::unordered_map<const Node*, Node*> copies;
  for (const auto& node : graph.nodes()) {
    Node& made = copy.add_unlinked(node->type(), node->input_count(), node->attributes(), node->name(), node->opset());
    copies[node.get()] = &made;
    if (node->is("Constant")) made.set_constant(node->constant());
    made.set_output_count(node->output_count());
    for (size_t i = 0; i < node->output_count(); ++i) made.output_info(i) = node->output_info(i);
    made.rt_info() = node->rt_info();
  }
  for (const auto& node : graph.nodes())
    for (size_t i = 0; i < node->input_count(); ++i)
      if (Value input = node->input(i)) copies[node.get()]->set_input(i, {copies.at(input.node), input.index});
  return copy;
}

}  // namespace nibble
