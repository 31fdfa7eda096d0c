#include "tokenizer/openvino/plain_ops.hpp"

#include <algorithm>
#include <map>

#include "tensor/convert.hpp"
#include "tokenizer/openvino/string_tensors.hpp"

namespace nibble::tokenizer {
namespace {

using Inputs = std::span<const Tensor>;

/// Of shapes that are repeated against each other, aligned at the right.
double broadcast_elements(std::initializer_list<Shape> shapes) {
  double count = 1;
  bool more = true;
  for (size_t from_right = 1; more; ++from_right) {
    more = false;
    int64_t widest = 1;
    for (const Shape& shape : shapes) {
      if (shape.size() < from_right) continue;
      more = true;
      widest = std::max(widest, shape[shape.size() - from_right]);
    }
    count *= static_cast<double>(widest);
  }
  return count;
}

double of_largest(Inputs inputs) {
  size_t count = 1;
  for (const Tensor& input : inputs) count = std::max(count, input.size());
  return static_cast<double>(count);
}

double of_elementwise(Inputs inputs) {
  if (inputs.size() == 3) return broadcast_elements({inputs[0].shape(), inputs[1].shape(), inputs[2].shape()});
  return inputs.size() == 2 ? broadcast_elements({inputs[0].shape(), inputs[1].shape()}) : of_largest(inputs);
}

double of_range(Inputs inputs) {
  const auto value = [&](size_t i) { return static_cast<double>(one_integer(inputs[i])); };
  return value(2) == 0 ? 0 : (value(1) - value(0)) / value(2) + 1;
}

double of_broadcast(Inputs inputs) { return broadcast_elements({inputs[0].shape(), to_int64s(inputs[1])}); }

double of_gather(Inputs inputs) { return static_cast<double>(inputs[0].size()) * static_cast<double>(inputs[1].size()); }

double of_concat(Inputs inputs) {
  double count = 0;
  for (const Tensor& input : inputs) count += static_cast<double>(input.size());
  return count;
}

using Bound = double (*)(Inputs);

const std::map<std::string_view, Bound>& bounds() {
  static const std::map<std::string_view, Bound> table{
      {"Add", of_elementwise},          {"Broadcast", of_broadcast},   {"Concat", of_concat},         {"Convert", of_largest},
      {"Divide", of_elementwise},       {"Equal", of_elementwise},     {"Gather", of_gather},         {"Greater", of_elementwise},
      {"GreaterEqual", of_elementwise}, {"Less", of_elementwise},      {"LessEqual", of_elementwise}, {"LogicalAnd", of_elementwise},
      {"LogicalNot", of_largest},       {"LogicalOr", of_elementwise}, {"Maximum", of_elementwise},   {"Minimum", of_elementwise},
      {"Multiply", of_elementwise},     {"NotEqual", of_elementwise},  {"Range", of_range},           {"ReduceMax", of_largest},
      {"ReduceMin", of_largest},        {"ReduceSum", of_largest},     {"Reshape", of_largest},       {"Reverse", of_largest},
      {"ScatterNDUpdate", of_largest},  {"Select", of_elementwise},    {"ShapeOf", of_largest},       {"Slice", of_largest},
      {"Squeeze", of_largest},          {"StridedSlice", of_largest},  {"Subtract", of_elementwise},  {"Transpose", of_largest},
      {"Unsqueeze", of_largest},
  };
  return table;
}

}  // namespace

bool is_plain_op(std::string_view type) { return bounds().contains(type); }

double element_bound(const Node& node, std::span<const Tensor> inputs) { return bounds().at(node.type())(inputs); }

}  // namespace nibble::tokenizer
