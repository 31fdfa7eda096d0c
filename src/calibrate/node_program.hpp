#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.hpp"
#include "device/cpu/constant_values.hpp"
#include "graph/graph.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// Values that depend on constants alone.
class ConstantReader {
 public:
  virtual ~ConstantReader() = default;
  virtual bool is_constant(Value value) const = 0;
  /// Only for constant values.
  virtual Tensor read(Value value) = 0;
  /// Constants of the graph, to look for patterns of nodes with; nullptr: none are looked for.
  virtual cpu::ConstantValues* graph_constants() { return nullptr; }
};

/// A few nodes in order of execution, made ready to be run over and over, by kernels of the CPU engine where it has some for them
/// (kernel_ops.hpp, norms), else by their `evaluate`: constants are read once, values live no
/// longer than they are needed, and tables of embeddings are not decompressed but looked up. Immutable and thread-safe; the graph must
/// outlive it.
class NodeProgram {
 public:
  NodeProgram() = default;
  /// `results`: what run() gives, values of the nodes or of inputs. Throws Error{unsupported} for a node that cannot be evaluated.
  NodeProgram(std::span<Node* const> nodes, std::span<const Value> results, ConstantReader& constants);

  /// What run() needs: values that the nodes do not make and that are not constant.
  const std::vector<Value>& inputs() const { return inputs_; }
  /// Throws what the operations throw, with the node's name.
  std::vector<Tensor> run(std::span<const Tensor> inputs, ThreadPool& threads) const;

 private:
  class Builder;
  /// Runs one node.
  class Step {
   public:
    virtual ~Step() = default;
    virtual std::vector<Tensor> run(std::span<const Tensor> inputs, ThreadPool& threads) const = 0;
    const Node* node = nullptr;
    std::vector<size_t> inputs, expired;  // slots
    size_t first_output = 0;              // slot
  };
  class Evaluate;
  class LookUp;
  class Norm;
  class ReadState;

  std::vector<std::shared_ptr<const Step>> steps_;
  std::vector<Tensor> constants_;  // by slot; empty tensors elsewhere
  std::vector<Value> inputs_;
  std::vector<size_t> input_slots_, result_slots_;
};

}  // namespace nibble
