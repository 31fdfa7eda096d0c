#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/graph.hpp"

namespace nibble {

/// Adds operations to a graph under the names that OpenVINO's PyTorch conversion would give them
/// ("__module.model.layers.0.mlp/aten::mul/Multiply"), so that tools that select layers by name find what they expect.
/// Small integer constants are shared. For one thread.
class GraphBuilder {
 public:
  explicit GraphBuilder(Graph& graph) : graph_(graph) {}
  Graph& graph() { return graph_; }

  /// Sets the module that names are made from until the object goes: "model.layers.0.mlp".
  class Module {
   public:
    Module(GraphBuilder& builder, std::string path) : builder_(builder), saved_(std::move(builder.module_)) {
      builder.module_ = std::move(path);
    }
    ~Module() { builder_.module_ = std::move(saved_); }
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

   private:
    GraphBuilder& builder_;
    std::string saved_;
  };

  /// An operation that PyTorch calls `torch_name` ("aten::mul").
  Value op(std::string_view type, std::vector<Value> inputs, Attributes attributes, std::string_view torch_name,
           std::string_view opset = {});

  Value i64(int64_t value);                 ///< scalar
  Value i64s(std::vector<int64_t> values);  ///< 1-D
  Value i32(int64_t value);                 ///< scalar
  Value i32s(std::vector<int64_t> values);
  Value f32(float value, size_t rank = 0);  ///< scalar, or shape [1,1,...]
  Value boolean(bool value);

  Value add(Value a, Value b) { return binary("Add", a, b, "aten::add"); }
  Value multiply(Value a, Value b) { return binary("Multiply", a, b, "aten::mul"); }
  Value binary(std::string_view type, Value a, Value b, std::string_view torch_name);
  Value matmul(Value a, Value b, bool transpose_b, std::string_view torch_name);
  Value reshape(Value x, std::vector<int64_t> dims, std::string_view torch_name = "aten::view");  ///< 0 copies, -1 infers
  Value transpose(Value x, std::vector<int64_t> order);
  Value unsqueeze(Value x, int64_t axis);
  Value concat(std::vector<Value> values, int64_t axis, std::string_view torch_name = "aten::cat");
  Value slice(Value x, int64_t begin, int64_t end, int64_t axis);
  Value convert(Value x, ElementType type);
  Value gather(Value x, Value indices, int64_t axis, std::string_view torch_name = "aten::index_select");
  Value shape_of(Value x);
  /// One dimension of x, as a scalar.
  Value dim(Value x, int64_t axis);
  /// A scalar as a vector of one element.
  Value as_vector(Value scalar);
  Value range(Value begin, Value end);

 private:
  std::string unique_name(std::string_view torch_name, std::string_view type);
  Value shared_integers(ElementType type, std::vector<int64_t> values, bool scalar);

  Graph& graph_;
  std::string module_;
  std::unordered_map<std::string, int> names_;
  std::map<std::tuple<ElementType, bool, std::vector<int64_t>>, Value> integers_;
};

}  // namespace nibble
