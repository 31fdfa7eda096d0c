#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/thread_pool.hpp"
#include "compress/calibration.hpp"
#include "graph/op_set.hpp"

namespace nibble::test {

/// Inputs that lie in memory.
class GivenInputs final : public LayerInputs {
 public:
  explicit GivenInputs(std::vector<Tensor> samples) : samples_(std::move(samples)) {}
  size_t count() const override { return samples_.size(); }
  Tensor sample(size_t index) const override { return samples_[index]; }

 private:
  std::vector<Tensor> samples_;
};

/// Runs rows of token ids (or whole inputs) through a small model node by node, all rows at each node, with the operations' own evaluate.
class Lockstep final : public Calibration {
 public:
  using Rows = std::vector<std::vector<int64_t>>;
  explicit Lockstep(Rows rows) : rows_(std::move(rows)), count_(rows_.size()), threads_(2) {}
  /// For models with a single Parameter.
  explicit Lockstep(std::vector<Tensor> inputs) : inputs_(std::move(inputs)), count_(inputs_.size()), threads_(2) {}

  size_t sample_count() const override { return count_; }

  void run(Graph& graph, std::span<Node* const> layers, const Visitor& visit) override {
    std::set<const Node*> visited(layers.begin(), layers.end());
    results_.clear();
    values_.clear();
    std::vector<Node*> order = graph.topological_order();
    find_activations(order);
    for (Node* node : order) {
      if (!activations_.count(node)) continue;
      if (visited.count(node)) visit(*node, GivenInputs(values_.at({node->input(0).node, node->input(0).index})));
      for (size_t row = 0; row < count_; ++row) compute(*node, row);
    }
    values_.clear();
  }

  /// What the model's Results give, row after row.
  std::vector<Tensor> outputs(Graph& graph) {
    run(graph, {}, {});
    return results_;
  }

 private:
  void find_activations(const std::vector<Node*>& order) {
    activations_.clear();
    for (Node* node : order) {
      bool depends = node->is("Parameter") || node->is("ReadValue");
      for (const Value& input : node->inputs()) depends = depends || activations_.count(input.node);
      if (depends) activations_.insert(node);
    }
  }

  Tensor parameter(const Node& node, size_t row) const {
    if (!inputs_.empty()) return inputs_[row];
    const auto& names = node.output_info().names;
    std::vector<int64_t> numbers(rows_[row].size(), 1);
    if (names.count("input_ids")) numbers = rows_[row];
    if (names.count("position_ids"))
      for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(i);
    if (names.count("beam_idx")) return Tensor::from<int32_t>({1}, std::vector<int32_t>{0});
    return Tensor::from<int64_t>({1, static_cast<int64_t>(numbers.size())}, numbers);
  }

  std::vector<Tensor> evaluate(const Node& node, const std::vector<Tensor>& inputs) {
    std::vector<Tensor> outputs(node.output_count());
    EvalContext context{node, inputs, outputs, threads_};
    node.op().evaluate(context);
    return outputs;
  }

  /// What depends on no input is made when it is needed: a weight may have been replaced by then.
  Tensor value(const Value& wanted, size_t row) {
    if (activations_.count(wanted.node)) return values_.at({wanted.node, wanted.index})[row];
    if (wanted.node->is("Constant")) return wanted.node->constant().tensor();
    std::vector<Tensor> inputs;
    for (const Value& input : wanted.node->inputs()) inputs.push_back(value(input, row));
    return evaluate(*wanted.node, inputs)[wanted.index];
  }

  std::vector<Tensor> inputs_of(const Node& node, size_t row) {
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < node.input_count(); ++i) {
      bool known = row > 0 && !activations_.count(node.input(i).node);
      inputs.push_back(known ? of_first_row_[i] : value(node.input(i), row));
    }
    if (row == 0) of_first_row_ = inputs;
    return inputs;
  }

  void compute(Node& node, size_t row) {
    if (node.is("Assign")) return;
    std::vector<Tensor> outputs, inputs = inputs_of(node, row);
    if (node.is("Result")) return results_.push_back(inputs[0]);
    if (node.is("Parameter"))
      outputs = {parameter(node, row)};
    else
      outputs = node.is("ReadValue") ? inputs : evaluate(node, inputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      auto& all = values_[{&node, i}];
      all.resize(count_);
      all[row] = outputs[i];
    }
  }

  Rows rows_;
  std::vector<Tensor> inputs_;
  size_t count_;
  ThreadPool threads_;
  std::set<const Node*> activations_;
  std::map<std::pair<const Node*, size_t>, std::vector<Tensor>> values_;
  std::vector<Tensor> of_first_row_, results_;
};

}  // namespace nibble::test
