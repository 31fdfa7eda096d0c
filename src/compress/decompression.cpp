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

}  // namespace

Decompression::Decompression(Graph& graph) : graph_(graph) {
  for (const auto& node : graph.nodes()) names_.insert(node->name());
}

std::string Decompression::unused_name(std::string_view prefix) {
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

Value Decompression::codes(const std::string& name, const std::shared_ptr<const CompressedWeight>& source, const WeightTask& task) {
  Value value = convert(constant({source, CompressedWeight::kCodes}, name), ElementType::f16);
  ConstantValue zero_point;
  if (source->output_count() > CompressedWeight::kZeroPoints)
    zero_point = {source, CompressedWeight::kZeroPoints};
  else if (is_offset_symmetric(task.rule.mode))
    zero_point = Tensor::scalar(static_cast<int8_t>(1 << (weight_format(task.rule.mode).bits - 1)));
  else
    return value;
  Value zero = convert(constant(zero_point, name + "/zero_point"), ElementType::f16);
  return add("Subtract", {value, zero}, {{"auto_broadcast", "numpy"}}, name + "/zero_point/subtract");
}

Value Decompression::looked_up(const std::string& name, const std::shared_ptr<const CompressedWeight>& source, const Tensor& codebook) {
  Value table = convert(constant(codebook, name), ElementType::f16);
  Value indices = convert(constant({source, CompressedWeight::kCodes}, name + "_nncf_codebook_idxs"), ElementType::u8);
  Value axis = constant(Tensor::scalar(int64_t{0}), unused_name(name + "_nncf_codebook/Constant"));
  return add("Gather", {table, indices, axis}, {{"batch_dims", "0"}}, name + "_nncf_codebook");
}

Value Decompression::scale(const std::string& name, size_t port, const std::shared_ptr<const CompressedWeight>& source,
                           const std::shared_ptr<const SecondOrderScale>& second_order) {
  Value value = constant({source, CompressedWeight::kScales}, name + "/scale");
  if (second_order) {
    Value second = constant({second_order, 0}, name + "/second_order_scale");
    value = add("Multiply", {convert(value, ElementType::f32), second}, {{"auto_broadcast", "numpy"}},
                fmt::format("{}/dequantized_scale_{}", name, port));
  }
  return convert(value, ElementType::f16);
}

void Decompression::replace(Node& original, size_t port, std::shared_ptr<const WeightTask> task, const Tensor& codebook) {
  std::string name = original.name(), product = fmt::format("{}/fq_weights_{}", name, port);
  ElementType type = original.constant().type();
  Shape shape = original.constant().shape();
  std::shared_ptr<const SecondOrderScale> second_order;
  if (task->rule.mode == CompressWeightsMode::nvfp4) second_order = std::make_shared<SecondOrderScale>(task);
  auto source = std::make_shared<const CompressedWeight>(task, second_order);

  Value value = is_codebook(task->rule.mode) ? looked_up(name, source, codebook) : codes(name, source, *task);
  value = add("Multiply", {value, scale(name, port, source, second_order)}, {{"auto_broadcast", "numpy"}}, product);
  if (task->layout.codes != shape) {
    Tensor target = Tensor::from<int64_t>({static_cast<int64_t>(shape.size())}, shape);
    value = add("Reshape", {value, constant(target, unused_name("Constant"))}, {{"special_zero", "false"}});
  }
  if (has_reader_besides_convert(original)) value = convert(value, type, product + "/convert");
  rewire(original.output(), value);
}

}  // namespace nibble
