#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/attributes.hpp"
#include "graph/constant.hpp"
#include "graph/partial_shape.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

class Graph;
class Node;
struct OpDef;

/// One output of a node: what flows along an edge.
struct Value {
  Node* node = nullptr;
  size_t index = 0;

  explicit operator bool() const { return node != nullptr; }
  bool operator==(const Value&) const = default;
  ElementType type() const;
  const PartialShape& shape() const;
};

/// An <attribute> of a node's <rt_info>, kept as written: all XML attributes, name and version among them.
using RtAttribute = std::vector<std::pair<std::string, std::string>>;

struct OutputInfo {
  ElementType type = ElementType::dynamic;
  PartialShape shape;
  std::set<std::string> names;  ///< tensor names: the public names of inputs and outputs, and debugging aids
};

/// A layer of an IR: an operation with inputs, attributes and outputs. Owned by its Graph. Not thread-safe.
class Node {
 public:
  const OpDef& op() const { return *op_; }
  /// Operation class as OpenVINO names it, e.g. "MatMul", "Constant", "Softmax"; the IR writes some differently.
  std::string_view type() const;
  bool is(std::string_view type) const { return this->type() == type; }
  /// Operation set of the IR, e.g. "opset8".
  const std::string& opset() const { return opset_; }
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }

  Attributes& attributes() { return attributes_; }
  const Attributes& attributes() const { return attributes_; }

  size_t input_count() const { return inputs_.size(); }
  Value input(size_t i) const { return inputs_[i]; }
  const std::vector<Value>& inputs() const { return inputs_; }
  void set_input(size_t i, Value value);

  size_t output_count() const { return outputs_.size(); }
  /// For operations whose number of outputs depends on attributes.
  void set_output_count(size_t count) { outputs_.resize(count); }
  Value output(size_t i = 0) { return {this, i}; }
  OutputInfo& output_info(size_t i = 0) { return outputs_[i]; }
  const OutputInfo& output_info(size_t i = 0) const { return outputs_[i]; }

  struct Use {
    Node* node;
    size_t input;
    bool operator==(const Use&) const = default;
  };
  /// Every input that reads output `i`.
  std::vector<Use> uses(size_t i = 0) const;
  bool has_uses() const { return !uses_.empty(); }

  /// Const nodes only.
  const ConstantValue& constant() const { return constant_; }
  void set_constant(ConstantValue value);

  std::vector<RtAttribute>& rt_info() { return rt_info_; }
  const std::vector<RtAttribute>& rt_info() const { return rt_info_; }

  /// Sets types and shapes of the outputs from those of the inputs; throws Error naming this node.
  void infer();

 private:
  friend class Graph;
  Node() = default;

  const OpDef* op_ = nullptr;
  std::string opset_, name_;
  Attributes attributes_;
  std::vector<Value> inputs_;
  std::vector<OutputInfo> outputs_;
  std::vector<std::pair<size_t, Use>> uses_;  // (output, use)
  ConstantValue constant_;
  std::vector<RtAttribute> rt_info_;
};

inline ElementType Value::type() const { return node->output_info(index).type; }
inline const PartialShape& Value::shape() const { return node->output_info(index).shape; }

/// "MatMul 'model.layers.0.q_proj'": how messages name a node.
std::string describe(const Node& node);

}  // namespace nibble
