#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "graph/node.hpp"

namespace nibble {

class ThreadPool;

/// What an operation's evaluate gets: whole input tensors (aligned, of static shape) and a place for the outputs.
struct EvalContext {
  const Node& node;
  std::span<const Tensor> inputs;
  std::vector<Tensor>& outputs;  ///< as many empty tensors as the node has outputs; evaluate assigns each
  ThreadPool& threads;
};

/// An operation: its name, where it may appear, and its two semantics. Plain data, one entry per operation in the tables
/// of graph/ops/. Structural operations (Parameter, Result, ReadValue, Assign) have no evaluate: the executor does them.
struct OpDef {
  std::string_view type;                 ///< class name: "MatMul"
  std::vector<std::string_view> opsets;  ///< that introduced or changed it, oldest first: what an IR may say
  int min_inputs = 0;
  int max_inputs = 0;  ///< -1 = any number
  int outputs = 1;     ///< -1 = depends on attributes: infer calls Node::set_output_count
  void (*infer)(Node& node) = nullptr;
  void (*evaluate)(EvalContext& context) = nullptr;
};

/// nullptr when Nibble does not know the operation. Knows the IR's spellings too ("Const", "SoftMax", "PReLU", "ReLU").
const OpDef* find_op(std::string_view type);
/// "Const" for "Constant" and so on.
std::string_view ir_type_name(std::string_view type);
/// All operations, sorted by type.
std::span<const OpDef* const> all_ops();

/// The value of an integer input as far as it is known before running: constants, and arithmetic on shapes (ShapeOf,
/// Gather, Concat, Squeeze, Unsqueeze, Convert, Add, Multiply, ...); unknown elements are kDynamic only if they come from a dynamic
/// dimension. nullopt when nothing is known, not even the number of elements.
std::optional<std::vector<int64_t>> known_integers(Value value);

}  // namespace nibble
