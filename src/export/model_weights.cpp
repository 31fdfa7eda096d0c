#include "export/model_weights.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "export/assembled_weight.hpp"
#include "export/unused_weights.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

std::string_view without_suffix(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name;
}

/// A format's name in reports; as NNCF calls it where NNCF has it.
std::string_view format_name(const CodeGrid& grid) {
  switch (grid.codes) {
    case ElementType::i4: return "int4_sym";
    case ElementType::u4: return "int4_asym";
    case ElementType::i8: return "int8_sym";
    case ElementType::u8: return "int8_asym";
    case ElementType::f4e2m1: return grid.scales == ElementType::f8e8m0 ? "mxfp4" : "fp4";
    case ElementType::f8e4m3: return grid.scales == ElementType::f8e8m0 ? "mxfp8_e4m3" : "fp8_e4m3";
    default: return to_string(grid.codes);
  }
}

/// A constant of which only the shape is asked for.
class MissingWeight final : public ConstantSource {
 public:
  explicit MissingWeight(Shape shape) : shape_(std::move(shape)) {}
  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return ElementType::f32; }
  const Shape& shape(size_t) const override { return shape_; }
  int64_t rows() const override { return 1; }
  void produce(int64_t, int64_t, std::span<const std::span<std::byte>>) const override {
    fail(ErrorKind::not_found, "the values of a weight are asked for that the checkpoint does not hold");
  }

 private:
  Shape shape_;
};

/// What the checkpoint itself says of a tensor that it does not hold: where was looked.
std::string refusal_of(const WeightSource& source, const std::string& name) {
  try {
    source.info(name);
  } catch (const Error& error) {
    return error.what();
  }
  return name;
}

}  // namespace

ModelWeights::ModelWeights(GraphBuilder& builder, std::shared_ptr<const WeightSource> source, const WeightMap& map, FloatFormat format)
    : builder_(builder),
      source_(std::move(source)),
      map_(map),
      format_(format),
      decompression_(builder.graph(), [this](std::string_view type) { return fmt::format("decompression/{}_{}", type, unnamed_++); }) {}

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
  if (map_.is_fallback(name) && source_->contains(name)) return {{{name}}};
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
  auto found = types_.find(name);
  ElementType type = found == types_.end() ? target_type(name) : found->second;
  return fmt::format("{}::{}", type == ElementType::f32 ? "aten" : "ov_ext", layer);
}

std::string ModelWeights::constant_name(const std::string& name) const {
  bool is_f32 = types_.at(name) == ElementType::f32;
  return fmt::format("self.{}{}", without_suffix(name, ".weight"), is_f32 ? ".weight" : "._openvino_orig_weight");
}

std::shared_ptr<const EncodedConstant> ModelWeights::codes_of(const std::string& name, const Shape& shape) const {
  return format_ == FloatFormat::stored ? EncodedConstant::make(*source_, recipe(name), shape) : nullptr;
}

bool ModelWeights::require(const std::string& name) {
  bool is_there = true;
  for (const WeightPart& part : recipe(name).parts) {
    bool has_part = source_->contains(part.tensor);
    (has_part ? used_ : missing_).insert(part.tensor);
    is_there = is_there && has_part;
  }
  return is_there;
}

Value ModelWeights::missing(const std::string& name, const Shape& shape) {
  types_[name] = ElementType::f32;
  return builder_.graph().add_constant({std::make_shared<MissingWeight>(shape), 0}).output();
}

Value ModelWeights::matrix(const std::string& name, const Shape& shape, std::string_view layer) {
  auto found = matrices_.find(name);
  if (found != matrices_.end()) return found->second;
  if (!require(name)) return matrices_[name] = missing(name, shape);
  auto codes = codes_of(name, shape);
  bool keeps_codes = codes && codes->column_order().empty();
  return matrices_[name] = keeps_codes ? decompressed(name, shape, layer, codes) : floats(name, shape, layer);
}

LinearWeight ModelWeights::linear_weight(const std::string& name, const Shape& shape) {
  if (auto found = ordered_matrices_.find(name); found != ordered_matrices_.end()) return found->second;
  if (!require(name)) return {matrix(name, shape, "linear"), {}};
  auto codes = codes_of(name, shape);
  if (!codes || codes->column_order().empty()) return {matrix(name, shape, "linear"), {}};
  auto order = codes->column_order();
  Value indices = builder_.i32s({order.begin(), order.end()});
  return ordered_matrices_[name] = {decompressed(name, shape, "linear", codes), indices};
}

Value ModelWeights::in_order(Value x, Value order) {
  auto [found, fresh] = ordered_values_.try_emplace({x.node, x.index, order.node});
  if (fresh) found->second = builder_.gather(x, order, -1);
  return found->second;
}

Value ModelWeights::decompressed(const std::string& name, const Shape& shape, std::string_view layer,
                                 const std::shared_ptr<const EncodedConstant>& codes) {
  types_[name] = codes->grid().scales == ElementType::f32 ? ElementType::f32 : ElementType::f16;
  ++counts_[std::string(format_name(codes->grid()))];
  WeightCodes weight{{codes, EncodedConstant::kCodes}, {codes, EncodedConstant::kScales}, {}, shape};
  if (codes->has_zero_points()) weight.zero_points = {codes, EncodedConstant::kZeroPoints};
  Value value = decompression_.decompress(constant_name(name), layer == "embedding" ? 0 : 1, weight);
  return as_f32(value, name, layer);
}

Value ModelWeights::floats(const std::string& name, const Shape& shape, std::string_view layer) {
  ElementType type = types_[name] = target_type(name);
  WeightRecipe from = recipe(name);
  if (source_->encoded(from.parts.at(0).tensor)) ++counts_["float"];
  Node& constant = builder_.graph().add_constant(assemble_weight(*source_, from, shape, type, findings_), constant_name(name));
  constant.output_info().names.insert(constant.name());
  return as_f32(constant.output(), name, layer);
}

Value ModelWeights::as_f32(Value value, const std::string& name, std::string_view layer) {
  if (value.type() == ElementType::f32) return value;
  GraphBuilder::Module module(builder_, std::string(without_suffix(name, ".weight")));
  Value result = builder_.op("Convert", {value}, {{"destination_type", "f32"}}, consumer_name(name, layer));
  result.node->rt_info().push_back({{"name", "decompression"}, {"version", "0"}});
  return result;
}

Value ModelWeights::vector(const std::string& name, const Shape& shape, float plus) {
  if (!require(name)) return missing(name, shape);
  Shape size{static_cast<int64_t>(element_count(shape))};
  std::vector<float> values = to_floats(assemble_weight(*source_, recipe(name), size, ElementType::f32, findings_).tensor());
  for (float& value : values) value += plus;
  return builder_.graph().add_constant(Tensor::from<float>(shape, values)).output();
}

TakenWeights ModelWeights::take() const {
  constexpr size_t kMostNames = 100;
  if (missing_.empty()) return {counts_, source_, used_, findings_};
  std::vector<std::string> others(std::next(missing_.begin()), missing_.end());
  std::string more = others.empty() ? "" : fmt::format("; nor {}", shown_names(others, kMostNames));
  fail(ErrorKind::not_found,
       "{}{}: {} of the {} tensors that config.json asks for are missing; either the download is incomplete or the weights are of another "
       "model",
       refusal_of(*source_, *missing_.begin()), more, missing_.size(), missing_.size() + used_.size());
}

Value ModelWeights::vector(const std::string& name, int64_t size, size_t rank) {
  Shape shape(rank, 1);
  shape.back() = size;
  return vector(name, shape);
}

}  // namespace nibble
