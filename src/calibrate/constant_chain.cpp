#include "calibrate/constant_chain.hpp"

#include <unordered_map>
#include <vector>

#include "device/cpu/weight_match.hpp"
#include "passes/decompress_in_f32.hpp"

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

ConstantChain::ConstantChain(const Node& layer, size_t port, ThreadPool& threads) : port_(port), threads_(threads) {
  std::unordered_map<const Node*, Node*> copies;
  Value root = layer.input(port);
  for (Node* node : chain_of(root.node)) {
    std::vector<Value> inputs;
    for (Value input : node->inputs()) inputs.push_back(copies.at(input.node)->output(input.index));
    Node& copy = node->is("Constant") ? graph_.add_constant(node->constant(), node->name())
                                      : graph_.add(node->type(), inputs, node->attributes(), node->name(), node->opset());
    copy.rt_info() = node->rt_info();
    copies[node] = &copy;
  }
  std::vector<Value> inputs(layer.input_count());
  for (size_t i = 0; i < inputs.size(); ++i)
    inputs[i] = i == port ? copies.at(root.node)->output(root.index)
                          : graph_.add_parameter(layer.input(i).type(), layer.input(i).shape(), "x" + std::to_string(i)).output();
  layer_ = &graph_.add(layer.type(), inputs, layer.attributes(), layer.name(), layer.opset());
  graph_.add("Result", {layer_->output()});
  decompress_in_f32(graph_);
}

std::optional<cpu::WeightMatrix> ConstantChain::matrix() {
  cpu::ConstantValues constants(graph_, threads_);
  return cpu::match_weight(value(), constants);
}

Tensor ConstantChain::tensor() { return cpu::ConstantValues(graph_, threads_).tensor(value()); }

}  // namespace nibble
