#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/node.hpp"

namespace nibble {

/// An element of a model's <rt_info>: a leaf has a value, a map has children. Order is kept.
struct RtInfo {
  std::string name;
  std::string value;  ///< leaf only
  bool is_leaf = false;
  bool as_info = false;  ///< written as <info name="..."> because the name is no XML tag, or was read so
  std::vector<RtInfo> children;

  const RtInfo* find(std::string_view child) const;
  RtInfo& child(std::string_view key);  ///< found or appended, as a map
  void set(std::string_view key, std::string text);
};

/// A model: nodes and the edges between them. Movable; nodes keep their addresses. Not thread-safe while modified;
/// constant operations may run concurrently.
class Graph {
 public:
  Graph() = default;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  /// Adds a node and infers its outputs. `type` is the class name ("Constant", not "Const"); the newest known opset
  /// unless given. An empty name gets "<type>_<n>". Throws Error{unsupported} for unknown operations.
  Node& add(std::string_view type, std::vector<Value> inputs, Attributes attributes = {}, std::string name = {},
            std::string_view opset = {});
  /// The same without inference and input checks: for readers that infer once everything is linked.
  Node& add_unlinked(std::string_view type, size_t input_count, Attributes attributes, std::string name, std::string_view opset);
  Node& add_constant(ConstantValue value, std::string name = {});
  Node& add_parameter(ElementType type, PartialShape shape, std::string name);

  /// Lets every reader of `from` read `to` instead, except `except` (usually part of the replacement). Tensor names stay
  /// with `from` unless it feeds a Result.
  void replace_uses(Value from, Value to, const Node* except = nullptr);
  /// Removes nodes that neither Result nor Assign depends on; Parameters stay.
  void remove_unused();

  const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  /// In the order of the IR: this is the order of inputs and outputs.
  std::vector<Node*> parameters() const { return of_type("Parameter"); }
  std::vector<Node*> results() const { return of_type("Result"); }
  std::vector<Node*> of_type(std::string_view type) const;
  /// Parameter or Result whose tensor has this name (or, for a Result, whose input has); nullptr when missing.
  Node* find_parameter(std::string_view tensor_name) const;
  Node* find_result(std::string_view tensor_name) const;

  /// Every node after its inputs; ReadValue before the Assign of the same variable. Deterministic: Parameters, then by
  /// depth-first order from Results and Assigns. Throws Error{corrupt} on a cycle, naming a node on it.
  std::vector<Node*> topological_order() const;
  /// Infers all nodes in topological order.
  void infer();

  std::string& name() { return name_; }
  const std::string& name() const { return name_; }
  RtInfo& rt_info() { return rt_info_; }
  const RtInfo& rt_info() const { return rt_info_; }

 private:
  std::string name_ = "Model0";
  std::vector<std::unique_ptr<Node>> nodes_;
  RtInfo rt_info_;
  size_t next_name_ = 0;
};

}  // namespace nibble
