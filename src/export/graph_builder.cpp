#include "export/graph_builder.hpp"

#include <fmt/format.h>

#include "tensor/convert.hpp"

namespace nibble {

std::string GraphBuilder::unique_name(std::string_view torch_name, std::string_view type) {
  std::string name = fmt::format("__module{}{}/{}/{}", module_.empty() ? "" : ".", module_, torch_name, type);
  int uses = names_[name]++;
  return uses == 0 ? name : fmt::format("{}_{}", name, uses);
}

Value GraphBuilder::op(std::string_view type, std::vector<Value> inputs, Attributes attributes, std::string_view torch_name,
                       std::string_view opset) {
  return graph_.add(type, std::move(inputs), std::move(attributes), unique_name(torch_name, type), opset).output();
}

Value GraphBuilder::shared_integers(ElementType type, std::vector<int64_t> values, bool scalar) {
  auto [found, fresh] = integers_.try_emplace({type, scalar, values});
  if (fresh) {
    Tensor tensor(type, scalar ? Shape{} : Shape{static_cast<int64_t>(values.size())});
    pack_from_int64(type, values, tensor.mutable_data(), 0);
    found->second = graph_.add_constant(std::move(tensor)).output();
  }
  return found->second;
}

Value GraphBuilder::i64(int64_t value) { return shared_integers(ElementType::i64, {value}, true); }
Value GraphBuilder::i64s(std::vector<int64_t> values) { return shared_integers(ElementType::i64, std::move(values), false); }
Value GraphBuilder::i32(int64_t value) { return shared_integers(ElementType::i32, {value}, true); }
Value GraphBuilder::i32s(std::vector<int64_t> values) { return shared_integers(ElementType::i32, std::move(values), false); }
Value GraphBuilder::boolean(bool value) { return shared_integers(ElementType::boolean, {value}, true); }

Value GraphBuilder::f32(float value, size_t rank) { return graph_.add_constant(Tensor::scalar(value).reshaped(Shape(rank, 1))).output(); }

Value GraphBuilder::binary(std::string_view type, Value a, Value b, std::string_view torch_name) {
  Attributes attributes{{"auto_broadcast", "numpy"}};
  if (type == "Divide") attributes.set("m_pythondiv", "true");
  return op(type, {a, b}, std::move(attributes), torch_name);
}

Value GraphBuilder::matmul(Value a, Value b, bool transpose_b, std::string_view torch_name) {
  return op("MatMul", {a, b}, {{"transpose_a", "false"}, {"transpose_b", attribute_text(transpose_b)}}, torch_name);
}

Value GraphBuilder::reshape(Value x, std::vector<int64_t> dims, std::string_view torch_name) {
  return op("Reshape", {x, i64s(std::move(dims))}, {{"special_zero", "true"}}, torch_name);
}

Value GraphBuilder::transpose(Value x, std::vector<int64_t> order) {
  return op("Transpose", {x, i32s(std::move(order))}, {}, "aten::transpose");
}

Value GraphBuilder::unsqueeze(Value x, int64_t axis) { return op("Unsqueeze", {x, i64(axis)}, {}, "aten::unsqueeze"); }

Value GraphBuilder::concat(std::vector<Value> values, int64_t axis, std::string_view torch_name) {
  return op("Concat", std::move(values), {{"axis", attribute_text(axis)}}, torch_name);
}

Value GraphBuilder::slice(Value x, int64_t begin, int64_t end, int64_t axis) {
  return op("Slice", {x, i64s({begin}), i64s({end}), i64s({1}), i64s({axis})}, {}, "aten::slice");
}

Value GraphBuilder::convert(Value x, ElementType type) {
  return op("Convert", {x}, {{"destination_type", std::string(to_string(type))}}, "aten::to");
}

Value GraphBuilder::gather(Value x, Value indices, int64_t axis, std::string_view torch_name) {
  return op("Gather", {x, indices, i64(axis)}, {{"batch_dims", "0"}}, torch_name, "opset8");
}

Value GraphBuilder::shape_of(Value x) { return op("ShapeOf", {x}, {{"output_type", "i64"}}, "aten::size", "opset3"); }

Value GraphBuilder::dim(Value x, int64_t axis) { return gather(shape_of(x), i64(axis), 0, "aten::size"); }

Value GraphBuilder::as_vector(Value scalar) { return op("Reshape", {scalar, i64s({1})}, {{"special_zero", "false"}}, "aten::size"); }

Value GraphBuilder::range(Value begin, Value end) {
  return op("Range", {begin, end, i32(1)}, {{"output_type", "i64"}}, "aten::arange", "opset4");
}

}  // namespace nibble
