#include "passes/constant_folding.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.hpp"
#include "graph/op_set.hpp"

namespace nibble {

std::vector<Node*> constant_subgraph(const Graph& graph) {
  std::unordered_set<const Node*> constant;
  std::vector<Node*> found;
  for (Node* node : graph.topological_order()) {
    bool depends_on_constants =
        std::all_of(node->inputs().begin(), node->inputs().end(), [&](Value v) { return constant.count(v.node) > 0; });
    bool foldable = node->op().evaluate != nullptr && node->input_count() > 0;
    if (node->is("Constant") || (foldable && depends_on_constants)) constant.insert(node);
    if (foldable && depends_on_constants) found.push_back(node);
  }
  return found;
}

namespace {

/// Evaluates constant nodes in order and drops an intermediate value with its last reader.
class Folder {
 public:
  explicit Folder(ThreadPool& threads) : threads_(threads) {}

  void fold(Graph& graph) {
    auto nodes = constant_subgraph(graph);
    folded_.insert(nodes.begin(), nodes.end());
    for (Node* node : nodes) count_readers(*node);
    for (Node* node : nodes) {
      std::vector<Tensor> outputs = evaluate(*node);
      for (size_t i = 0; i < outputs.size(); ++i) finish(graph, {node, i}, std::move(outputs[i]));
    }
  }

 private:
  void count_readers(Node& node) {
    for (size_t i = 0; i < node.output_count(); ++i)
      for (const auto& use : node.uses(i)) pending_[&node] += folded_.count(use.node);
  }

  Tensor input_value(Value value) {
    if (value.node->is("Constant")) return value.node->constant().tensor();
    auto& outputs = values_.at(value.node);
    Tensor tensor = outputs[value.index];
    if (--pending_[value.node] == 0) values_.erase(value.node);
    return tensor;
  }

  std::vector<Tensor> evaluate(Node& node) {
    std::vector<Tensor> inputs, outputs(node.output_count());
    for (Value input : node.inputs()) inputs.push_back(input_value(input));
    EvalContext context{node, inputs, outputs, threads_};
    try {
      node.op().evaluate(context);
    } catch (const Error& error) {
      fail(error.kind(), "{}: {}", describe(node), error.what());
    }
    if (pending_[&node] > 0) values_[&node] = outputs;
    return outputs;
  }

  /// A value that something at run time reads becomes a Constant.
  void finish(Graph& graph, Value value, Tensor tensor) {
    auto uses = value.node->uses(value.index);
    if (std::none_of(uses.begin(), uses.end(), [&](const auto& use) { return !folded_.count(use.node); })) return;
    Node& constant = graph.add_constant(std::move(tensor), value.node->name());
    constant.output_info().names = value.node->output_info(value.index).names;
    for (const auto& use : uses)
      if (!folded_.count(use.node)) use.node->set_input(use.input, constant.output());
  }

  ThreadPool& threads_;
  std::unordered_set<const Node*> folded_;
  std::unordered_map<const Node*, size_t> pending_;
  std::unordered_map<const Node*, std::vector<Tensor>> values_;
};

}  // namespace

void fold_constants(Graph& graph, ThreadPool& threads) {
  Folder(threads).fold(graph);
  graph.remove_unused();
}

}  // namespace nibble
