#include "export/model_weights.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "export/assembled_weight.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

std::string_view without_suffix(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name;
}

}  // namespace

ModelWeights::ModelWeights(GraphBuilder& builder, std::shared_ptr<const WeightSource> source, const WeightMap& map, FloatFormat format)
    : builder_(builder), source_(std::move(source)), map_(map), format_(format) {}

std::string ModelWeights::stored_name(const std::string& name) const {
  if (source_->contains(name)) return name;
  std::vector<std::string> candidates;
  if (size_t dot = name.find('.'); dot != std::string::npos) candidates.push_back(name.substr(dot + 1));
  for (const char* root : {"model.", "transformer.", "language_model."}) candidates.push_back(root + name);
  for (const std::string& candidate : candidates)
    if (source_->contains(candidate)) return candidate;
  return name;
}

WeightRecipe ModelWeights::recipe(const std::string& name) const {
  WeightRecipe recipe = map_.find(name);
  for (WeightPart& part : recipe.parts) part.tensor = stored_name(part.tensor);
  return recipe;
}

ElementType ModelWeights::target_type(const std::string& name) const {
  if (format_ == FloatFormat::f32) return ElementType::f32;
  if (format_ == FloatFormat::f16) return ElementType::f16;
  WeightRecipe from = recipe(name);
  if (from.has_unit_rows) return ElementType::f32;
  ElementType stored = source_->info(from.parts.at(0).tensor).type;
  switch (stored) {
    case ElementType::f64: return ElementType::f32;
    case ElementType::f8e4m3:
    case ElementType::f8e5m2: return ElementType::f16;  // holds every value of either exactly
    default: return stored;
  }
}

std::string ModelWeights::consumer_name(const std::string& name, std::string_view layer) const {
  return fmt::format("{}::{}", target_type(name) == ElementType::f32 ? "aten" : "ov_ext", layer);
}

Value ModelWeights::matrix(const std::string& name, const Shape& shape, std::string_view layer) {
  auto found = matrices_.find(name);
  if (found != matrices_.end()) return found->second;
  ElementType type = target_type(name);
  ConstantValue value = assemble_weight(*source_, recipe(name), shape, type);

  bool is_f32 = type == ElementType::f32;
  std::string constant_name = fmt::format("self.{}{}", without_suffix(name, ".weight"), is_f32 ? ".weight" : "._openvino_orig_weight");
  Node& constant = builder_.graph().add_constant(std::move(value), constant_name);
  constant.output_info().names.insert(constant_name);
  Value result = constant.output();
  if (!is_f32) {
    GraphBuilder::Module module(builder_, std::string(without_suffix(name, ".weight")));
    result = builder_.op("Convert", {result}, {{"destination_type", "f32"}}, consumer_name(name, layer));
    result.node->rt_info().push_back({{"name", "decompression"}, {"version", "0"}});
  }
  return matrices_[name] = result;
}

Value ModelWeights::vector(const std::string& name, const Shape& shape, float plus) {
  Shape size{static_cast<int64_t>(element_count(shape))};
  std::vector<float> values = to_floats(assemble_weight(*source_, recipe(name), size, ElementType::f32).tensor());
  for (float& value : values) value += plus;
  return builder_.graph().add_constant(Tensor::from<float>(shape, values)).output();
}

Value ModelWeights::vector(const std::string& name, int64_t size, size_t rank) {
  Shape shape(rank, 1);
  shape.back() = size;
  return vector(name, shape);
}

}  // namespace nibble
