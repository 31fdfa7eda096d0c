#include "compress/decompression.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nibble {

namespace {

bool is_convert_to(const Node& node, ElementType type) {
  return node.is("Convert") && node.attributes().get_type("destination_type", ElementType::dynamic) == type;
}

bool has_reader_besides_convert(const Node& constant) {
  auto uses = constant.uses();
  return std::any_of(uses.begin(), uses.end(), [](const Node::Use& use) { return !use.node->is("Convert"); });
}

/// Lets the readers of `from` read `to`; a Convert to the type that `to` already has is passed over.
void rewire(Value from, Value to) {
  std::vector<Value> open{from};
  while (!open.empty()) {
    Value value = open.back();
    open.pop_back();
    for (const auto& use : value.node->uses(value.index))
      if (is_convert_to(*use.node, to.type()))
        open.push_back(use.node->output());
      else
        use.node->set_input(use.input, to);
  }
}

WeightCodes weight_codes(const std::shared_ptr<const WeightTask>& task) {
  CompressedConstants constants = compressed_constants(task);
  WeightCodes weight{constants.codes, constants.scales, {}, task->weight.shape(), {}, task->codebook};
  if (constants.zero_points) weight.zero_points = *constants.zero_points;
  if (constants.second_order) weight.second_order = {constants.second_order, 0};
  if (is_offset_symmetric(task->rule.mode))
    weight.zero_points = Tensor::scalar(static_cast<int8_t>(1 << (weight_format(task->rule.mode).bits - 1)));
  return weight;
}

}  // namespace

Decompression::Decompression(Graph& graph) : graph_(graph) {
  for (const auto& node : graph.nodes()) names_.insert(node->name());
}

std::string Decompression::unused_name(std::string_view prefix) {
  if (make_name_) return make_name_(prefix);
  std::string name;
  do name = fmt::format("{}_{}", prefix, next_++);
  while (!names_.insert(name).second);
  return name;
}

Value Decompression::constant(ConstantValue value, std::string name) {
  return graph_.add_constant(std::move(value), std::move(name)).output();
}

Value Decompression::add(std::string_view type, std::vector<Value> inputs, Attributes attributes, std::string name) {
  if (name.empty()) name = unused_name(type);
  return graph_.add(type, std::move(inputs), std::move(attributes), std::move(name), type == "Gather" ? "opset8" : "opset1").output();
}

Value Decompression::convert(Value value, ElementType type, std::string name) {
  if (value.type() == type) return value;
  return add("Convert", {value}, {{"destination_type", std::string(to_string(type))}}, std::move(name));
}

Value Decompression::codes(const std::string& name, const WeightCodes& weight, ElementType type) {
  Value value = convert(constant(weight.codes, name), type);
  if (weight.zero_points.type() == ElementType::dynamic) return value;
  Value zero = convert(constant(weight.zero_points, name + "/zero_point"), type);
  return add("Subtract", {value, zero}, {{"auto_broadcast", "numpy"}}, name + "/zero_point/subtract");
}

Value Decompression::looked_up(const std::string& name, const WeightCodes& weight) {
  Value table = convert(constant(weight.codebook, name), ElementType::f16);
  Value indices = convert(constant(weight.codes, name + "_nncf_codebook_idxs"), ElementType::u8);
  Value axis = constant(Tensor::scalar(int64_t{0}), unused_name(name + "_nncf_codebook/Constant"));
  return add("Gather", {table, indices, axis}, {{"batch_dims", "0"}}, name + "_nncf_codebook");
}

Value Decompression::scale(const std::string& name, size_t port, const WeightCodes& weight, ElementType type) {
  Value value = constant(weight.scales, name + "/scale");
  if (weight.second_order.type() != ElementType::dynamic) {
    Value second = constant(weight.second_order, name + "/second_order_scale");
    value = add("Multiply", {convert(value, ElementType::f32), second}, {{"auto_broadcast", "numpy"}},
                fmt::format("{}/dequantized_scale_{}", name, port));
  }
  return convert(value, type);
}

Value Decompression::decompress(const std::string& name, size_t port, const WeightCodes& weight) {
  ElementType type = weight.scales.type() == ElementType::f32 ? ElementType::f32 : ElementType::f16;
  Value value = weight.codebook ? looked_up(name, weight) : codes(name, weight, type);
  value =
      add("Multiply", {value, scale(name, port, weight, type)}, {{"auto_broadcast", "numpy"}}, fmt::format("{}/fq_weights_{}", name, port));
  if (weight.codes.shape() == weight.shape) return value;
  Tensor target = Tensor::from<int64_t>({static_cast<int64_t>(weight.shape.size())}, weight.shape);
  return add("Reshape", {value, constant(target, unused_name("Constant"))}, {{"special_zero", "false"}});
}

void Decompression::replace(Node& original, size_t port, const std::shared_ptr<const WeightTask>& task) {
  std::string name = original.name();
  Value value = decompress(name, port, weight_codes(task));
  if (has_reader_besides_convert(original))
    value = convert(value, original.constant().type(), fmt::format("{}/fq_weights_{}/convert", name, port));
  rewire(original.output(), value);
}

Value Decompression::adapter(const Adapter& adapter, const std::string& name, ElementType type) {
  if (!adapter.task) return constant(adapter.weight, unused_name("Constant"));
  constexpr size_t kPort = 1;
  return convert(decompress(name, kPort, weight_codes(adapter.task)), type, fmt::format("{}/fq_weights_{}/convert", name, kPort));
}

void Decompression::add_adapters(Node& layer, size_t port, const Adapter& a, const Adapter& b) {
  Attributes attributes{{"transpose_a", "false"}, {"transpose_b", "true"}};
  Value x = layer.input(port);
  Value low = add("MatMul", {x, adapter(a, layer.name() + "_lora_A", x.type())}, attributes);
  Value correction = add("MatMul", {low, adapter(b, layer.name() + "_lora_B", x.type())}, attributes);
  Value sum = add("Add", {layer.output(), correction}, {{"auto_broadcast", "numpy"}});
  graph_.replace_uses(layer.output(), sum, sum.node);
}

}  // namespace nibble
