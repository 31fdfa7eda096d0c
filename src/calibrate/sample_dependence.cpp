#include "calibrate/sample_dependence.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "calibrate/model_inputs.hpp"
#include "graph/op_set.hpp"

namespace nibble {

namespace {

template <size_t count>
bool is_one_of(const Node& node, const std::array<std::string_view, count>& types) {
  return std::find(types.begin(), types.end(), node.type()) != types.end();
}

/// Integers that these read choose elements or are data: the result has the same shape whatever they are.
bool has_shape_of_shapes(const Node& node) {
  static constexpr std::array<std::string_view, 26> types{"Add",
                                                          "Concat",
                                                          "Convert",
                                                          "Divide",
                                                          "Equal",
                                                          "FloorMod",
                                                          "Gather",
                                                          "GatherElements",
                                                          "GatherND",
                                                          "Greater",
                                                          "GreaterEqual",
                                                          "Less",
                                                          "LessEqual",
                                                          "LogicalAnd",
                                                          "LogicalNot",
                                                          "LogicalOr",
                                                          "Maximum",
                                                          "Minimum",
                                                          "Mod",
                                                          "Multiply",
                                                          "NotEqual",
                                                          "Select",
                                                          "ScatterUpdate",
                                                          "ScatterNDUpdate",
                                                          "ScatterElementsUpdate",
                                                          "Subtract"};
  return is_one_of(node, types);
}

/// The shape of the result depends on the values of even the first input.
bool has_shape_of_data(const Node& node) {
  static constexpr std::array<std::string_view, 4> types{"NonMaxSuppression", "NonZero", "Range", "Unique"};
  return is_one_of(node, types);
}

}  // namespace

SampleDependence::SampleDependence(std::span<Node* const> order) {
  for (const Node* node : order) known_[node] = derive(*node);
}

SampleDependence::Known SampleDependence::derive_parameter(const Node& node) const {
  return {is_token_input(node) ? Dependence::sample : Dependence::length, Dependence::length};
}

SampleDependence::Known SampleDependence::derive(const Node& node) const {
  if (node.is("Constant")) return {Dependence::constant, Dependence::constant};
  if (node.is("Parameter")) return derive_parameter(node);
  bool is_fixed = node.op().evaluate != nullptr && node.input_count() > 0;
  Known found{is_fixed ? Dependence::constant : Dependence::length, Dependence::constant};
  for (size_t i = 0; i < node.input_count(); ++i) {
    const Known& input = known_.at(node.input(i).node);
    found.shape = std::max(found.shape, input.shape);
    // Shapes of what is on its way through the model would have to wait for it: they are computed with it.
    bool is_shape_of_input = node.is("ShapeOf") && node.input(i).node->is("Parameter");
    found.value = std::max(found.value, is_shape_of_input ? input.shape : input.value);
    bool shapes = has_shape_of_data(node) || (i > 0 && is_integer(node.input(i).type()) && !has_shape_of_shapes(node));
    if (shapes) found.shape = std::max(found.shape, input.value);
  }
  found.value = std::max(found.value, found.shape);
  return found;
}

}  // namespace nibble
