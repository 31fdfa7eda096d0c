#include "compress/layer_order.hpp"

#include <algorithm>
#include <deque>
#include <queue>
#include <unordered_map>

namespace nibble {

namespace {

using Numbers = std::unordered_map<const Node*, size_t>;

std::unordered_map<std::string, Node*> read_values(const Graph& graph) {
  std::unordered_map<std::string, Node*> by_variable;
  for (Node* node : graph.of_type("ReadValue")) by_variable.emplace(node->attributes().get_string("variable_id"), node);
  return by_variable;
}

/// OpenVINO's Model::get_ops: depth first from a stack of results, sinks and parameters; an Assign also depends on the ReadValue
/// of its variable.
std::vector<Node*> openvino_order(const Graph& graph) {
  std::vector<Node*> stack = graph.results(), order;
  for (Node* node : graph.of_type("Assign")) stack.push_back(node);
  for (Node* node : graph.parameters()) stack.push_back(node);
  auto variables = read_values(graph);
  std::unordered_set<const Node*> seen;
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    if (!seen.insert(node).second) continue;
    order.push_back(node);
    for (const Value& input : node->inputs())
      if (input) stack.push_back(input.node);
    if (!node->is("Assign")) continue;
    auto variable = variables.find(node->attributes().get_string("variable_id"));
    if (variable != variables.end()) stack.push_back(variable->second);
  }
  return order;
}

std::vector<Node*> consumers(const Node& node) {
  std::vector<Node*> found;
  for (size_t i = 0; i < node.output_count(); ++i) {
    auto begin = static_cast<std::ptrdiff_t>(found.size());
    for (const auto& use : node.uses(i)) found.push_back(use.node);
    std::stable_sort(found.begin() + begin, found.end(), [](const Node* a, const Node* b) { return a->name() < b->name(); });
  }
  return found;
}

/// Breadth first; nodes that no result depends on have no number.
void number_activations(const Graph& graph, const std::vector<Node*>& ops, Numbers& numbers) {
  std::unordered_set<const Node*> known(ops.begin(), ops.end());
  std::vector<Node*> starts = graph.parameters();
  for (Node* node : ops)
    if (node->is("ReadValue")) starts.push_back(node);
  std::deque<Node*> queue(starts.begin(), starts.end());
  while (!queue.empty()) {
    Node* node = queue.front();
    queue.pop_front();
    if (!known.count(node) || !numbers.emplace(node, numbers.size()).second) continue;
    for (Node* consumer : consumers(*node)) queue.push_back(consumer);
  }
}

std::vector<Node*> lowest_first(const std::vector<Node*>& ops, const Numbers& numbers) {
  std::unordered_map<const Node*, size_t> waiting;
  std::priority_queue<std::pair<size_t, Node*>, std::vector<std::pair<size_t, Node*>>, std::greater<>> ready;
  for (Node* node : ops) {
    waiting[node] = node->input_count();
    if (node->input_count() == 0) ready.emplace(numbers.at(node), node);
  }
  std::vector<Node*> order;
  while (!ready.empty()) {
    Node* node = ready.top().second;
    ready.pop();
    order.push_back(node);
    for (Node* consumer : consumers(*node)) {
      auto found = waiting.find(consumer);
      if (found != waiting.end() && --found->second == 0) ready.emplace(numbers.at(consumer), consumer);
    }
  }
  return order;
}

}  // namespace

LayerOrder layer_order(const Graph& graph) {
  std::vector<Node*> ops = openvino_order(graph);
  Numbers numbers;
  number_activations(graph, ops, numbers);
  LayerOrder order;
  for (const auto& [node, number] : numbers) order.activations.insert(node);
  for (Node* node : ops) numbers.emplace(node, numbers.size());
  order.nodes = lowest_first(ops, numbers);
  return order;
}

}  // namespace nibble
