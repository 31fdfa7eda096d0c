#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/thread_pool.hpp"
#include "graph/graph.hpp"
#include "tokenizer/openvino/string_op.hpp"

namespace nibble::tokenizer {

/// A graph of a tokenizer IR, ready to run: what depends on constants alone is computed, patterns are compiled. States keep the value
/// they begin with. Thread-safe.
class StringProgram {
 public:
  /// Takes a graph of any origin; `place` starts the messages. Throws Error{unsupported} for operations that tokenizers have no use for,
  /// Error{corrupt} for contradictions.
  StringProgram(Graph graph, std::string place);

  const Graph& graph() const { return graph_; }
  /// A value that is known before running. Throws Error{unsupported} where it is not.
  const Tensor& constant(Value value) const;

  /// Values by node and output. An output of strings is as StringsView has them.
  class Values {
   public:
    void set(Value value, std::vector<Tensor> tensors) { tensors_[{value.node, value.index}] = std::move(tensors); }
    /// Throws Error{corrupt} where there is none.
    const std::vector<Tensor>& get(Value value) const;
    const std::vector<Tensor>* find(Value value) const;

   private:
    struct Hash {
      size_t operator()(const std::pair<const Node*, size_t>& key) const { return std::hash<const Node*>()(key.first) * 31 + key.second; }
    };
    std::unordered_map<std::pair<const Node*, size_t>, std::vector<Tensor>, Hash> tensors_;
  };

  /// Computes everything from the Parameters, which `values` has.
  void run(Values& values, const RunOptions& options) const;

 private:
  struct Step {
    Node* node;
    StringOpPtr op;  // null for operations of OpenVINO's own sets
  };

  void prepare(Node& node);
  void run_step(const Step& step, Values& values, const RunOptions& options) const;
  std::vector<Tensor> inputs_of(const Node& node, const Values& values) const;
  template <class Work>
  void at(const Node& node, Work work) const;

  Graph graph_;
  std::string place_;
  mutable ThreadPool threads_{1};
  Values constants_;
  std::vector<Step> steps_;
};

}  // namespace nibble::tokenizer
