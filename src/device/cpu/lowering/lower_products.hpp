#pragma once

#include <unordered_map>
#include <vector>

#include "device/cpu/lowering/graph_patterns.hpp"
#include "device/cpu/lowering/plan_builder.hpp"

namespace nibble::cpu {

/// Products with constant weights. Those that read the same input and can be packed as one matrix become one step.
class ProductLowering {
 public:
  ProductLowering(PlanBuilder& builder, const GraphPatterns& patterns) : builder_(builder), patterns_(patterns) {}

  /// All products that read `x`.
  void lower(Value x);
  /// x + product as one step, where the product's step comes after x and nothing else reads the product. False: not so.
  bool lower_residual(Node& sum);

 private:
  struct Part {
    Node* root;  ///< that the product's pattern ends with
    WeightMatrix weight;
  };
  struct Producer {
    size_t step;
    Node* root;
  };
  std::vector<Node*> products_of(Value x) const;
  Node* root_of(Node& matmul) const;
  WeightMatrix weight_of(const LinearMatch& linear);
  WeightMatrix transposed(WeightMatrix weight, Value value);
  std::vector<Part> take_stack(std::vector<Node*>& members);
  void lower_stack(const std::vector<Part>& stack, View in, const Shape& shape);
  void define_parts(const std::vector<Part>& stack, View out, Shape shape);
  std::vector<float> bias_of(const std::vector<Part>& stack);
  bool add_residual(Node& sum, View product, View residual);
  size_t first_step_of(size_t slot);

  PlanBuilder& builder_;
  const GraphPatterns& patterns_;
  std::unordered_map<size_t, Producer> producers_;  // by slot, of single products
};

}  // namespace nibble::cpu
