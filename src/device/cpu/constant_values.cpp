#include "device/cpu/constant_values.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "graph/op_set.hpp"
#include "passes/constant_folding.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

ConstantValues::ConstantValues(const Graph& graph, ThreadPool& threads) : threads_(threads) {
  for (const auto& node : graph.nodes())
    if (node->is("Constant")) constant_.insert(node.get());
  for (const Node* node : constant_subgraph(graph)) constant_.insert(node);
}

/// What must be computed for `root`, inputs first.
std::vector<Node*> ConstantValues::pending_of(Node* root) const {
  std::vector<Node*> order, stack{root};
  std::unordered_set<const Node*> placed;
  while (!stack.empty()) {
    Node* node = stack.back();
    size_t depth = stack.size();
    for (Value input : node->inputs())
      if (!input.node->is("Constant") && !values_.count(input.node) && !placed.count(input.node)) stack.push_back(input.node);
    if (stack.size() > depth) continue;
    stack.pop_back();
    if (placed.insert(node).second) order.push_back(node);
  }
  return order;
}

Tensor ConstantValues::tensor(Value value) {
  if (!is_constant(value)) fail(ErrorKind::unsupported, "{} should be constant", describe(*value.node));
  if (value.node->is("Constant")) return value.node->constant().tensor();
  if (auto known = values_.find(value.node); known != values_.end()) return known->second[value.index];
  std::unordered_map<const Node*, std::vector<Tensor>> made;
  for (Node* node : pending_of(value.node)) {
    std::vector<Tensor> inputs, outputs(node->output_count());
    for (Value input : node->inputs()) {
      auto found = made.find(input.node);
      inputs.push_back(found != made.end() ? found->second[input.index] : tensor(input));
    }
    EvalContext context{*node, inputs, outputs, threads_};
    node->op().evaluate(context);
    made[node] = std::move(outputs);
  }
  constexpr size_t kSmall = 1 << 16;  // bytes: what is asked for again and again: indices, epsilons, norms
  Tensor result = made.at(value.node)[value.index];
  for (auto& [node, outputs] : made)
    if (std::all_of(outputs.begin(), outputs.end(), [](const Tensor& t) { return t.byte_size() <= kSmall; })) values_[node] = outputs;
  return result;
}

std::vector<float> ConstantValues::floats(Value value) { return to_floats(tensor(value)); }

std::vector<int64_t> ConstantValues::integers(Value value) { return to_int64s(tensor(value)); }

bool ConstantValues::is_uniform(Value value, float& uniform) {
  if (!is_constant(value)) return false;
  std::vector<float> values = floats(value);
  if (values.empty()) return false;
  uniform = values[0];
  return std::all_of(values.begin(), values.end(), [&](float v) { return v == uniform; });
}

}  // namespace nibble::cpu
