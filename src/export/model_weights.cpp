#include "export/model_weights.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr size_t kBlock = 4096;  // elements converted at a time through a buffer that stays in L1

/// A float tensor in another float type, converted slice by slice when it is written. Immutable, thread-safe.
class ConvertedWeight : public ConstantSource {
 public:
  ConvertedWeight(Tensor tensor, ElementType type) : tensor_(std::move(tensor)), type_(type) {}

  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return type_; }
  const Shape& shape(size_t) const override { return tensor_.shape(); }
  int64_t rows() const override { return tensor_.rank() == 0 ? 1 : tensor_.shape()[0]; }

  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    size_t per_row = tensor_.size() / static_cast<size_t>(std::max<int64_t>(rows(), 1));
    size_t first = static_cast<size_t>(begin) * per_row, count = static_cast<size_t>(end - begin) * per_row;
    std::vector<float> buffer(std::min(count, kBlock));
    for (size_t done = 0; done < count; done += kBlock) {
      std::span<float> block(buffer.data(), std::min(kBlock, count - done));
      unpack_to_float(tensor_.type(), tensor_.data(), first + done, block);
      if (type_ == ElementType::f16) saturate(block);
      pack_from_float(type_, block, out[0].data(), done);
    }
  }

 private:
  /// As OpenVINO saves f16: large values become the largest half, values below its smallest subnormal zero.
  static void saturate(std::span<float> values) {
    for (float& v : values) {
      v = std::clamp(v, -65504.0f, 65504.0f);
      if (v > -0x1p-24f && v < 0x1p-24f) v = 0.0f;
    }
  }

  Tensor tensor_;
  ElementType type_;
};

std::string_view without_suffix(std::string_view name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name;
}

}  // namespace

ModelWeights::ModelWeights(GraphBuilder& builder, std::shared_ptr<const WeightSource> source, FloatFormat format)
    : builder_(builder), source_(std::move(source)), format_(format) {}

ElementType ModelWeights::target_type(std::string_view name) const {
  ElementType stored = source_->info(name).type;
  if (format_ == FloatFormat::f32) return ElementType::f32;
  if (format_ == FloatFormat::f16) return ElementType::f16;
  switch (stored) {
    case ElementType::f64: return ElementType::f32;
    case ElementType::f8e4m3:
    case ElementType::f8e5m2: return ElementType::f16;  // holds every value of either exactly
    default: return stored;
  }
}

void ModelWeights::check_shape(const std::string& name, const Shape& shape) const {
  auto info = source_->info(name);
  if (!is_float(info.type))
    fail(ErrorKind::unsupported, "{}: tensor '{}' holds {}, expected floating-point weights", info.file.string(), name,
         to_string(info.type));
  if (info.shape != shape)
    fail(ErrorKind::corrupt, "{}: tensor '{}' has shape {}, config.json asks for {}", info.file.string(), name, to_string(info.shape),
         to_string(shape));
}

std::string ModelWeights::consumer_name(const std::string& name, std::string_view layer) const {
  return fmt::format("{}::{}", target_type(name) == ElementType::f32 ? "aten" : "ov_ext", layer);
}

Value ModelWeights::matrix(const std::string& name, const Shape& shape, std::string_view layer) {
  auto found = matrices_.find(name);
  if (found != matrices_.end()) return found->second;
  check_shape(name, shape);
  ElementType stored = source_->info(name).type, type = target_type(name);
  Tensor tensor = source_->get(name);
  ConstantValue value = stored == type ? ConstantValue(tensor) : ConstantValue(std::make_shared<ConvertedWeight>(tensor, type), 0);

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

Value ModelWeights::vector(const std::string& name, int64_t size, size_t rank) {
  check_shape(name, {size});
  Shape shape(rank, 1);
  shape.back() = size;
  Tensor values = convert(source_->get(name).aligned(), ElementType::f32).clone().reshaped(shape);
  return builder_.graph().add_constant(std::move(values)).output();
}

}  // namespace nibble
