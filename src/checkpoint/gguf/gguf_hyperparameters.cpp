#include "checkpoint/gguf/gguf_hyperparameters.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 31;
constexpr size_t kMaxNumbers = 1 << 20;  // of a tensor that is read as numbers

// What says nothing about the computation of a text model.
constexpr std::string_view kNeutralKeys[] = {"vocab_size",
                                             "tensor_data_layout",
                                             "pooling_type",
                                             "rope.scaling.finetuned",
                                             "attention.layer_norm_epsilon",
                                             "attention.layer_norm_rms_epsilon"};

/// A zero, a "no" or a "none".
bool says_nothing(const GgufMetadata& metadata, const std::string& key, const GgufValue& value) {
  if (value.is_array) return value.count == 0;
  if (value.type == GgufType::text) return metadata.text(key) == "none";
  return std::all_of(value.bytes.begin(), value.bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

GgufHyperparameters::GgufHyperparameters(const GgufModel& model) : model_(model) {
  auto name = model.metadata().text("general.architecture");
  if (!name) fail(ErrorKind::corrupt, "{}: metadata 'general.architecture' is missing", where());
  architecture_ = *name;
}

std::string GgufHyperparameters::used(std::string_view key) {
  used_.emplace(key);
  return full(key);
}

std::optional<int64_t> GgufHyperparameters::optional_size(std::string_view key) {
  std::string name = used(key);
  const GgufMetadata& metadata = model_.metadata();
  std::optional<int64_t> value;
  if (metadata.is_list(name)) {
    auto values = metadata.integers(name);
    if (values.empty()) return std::nullopt;
    if (std::any_of(values.begin(), values.end(), [&](int64_t v) { return v != values[0]; }))
      refuse(fmt::format("{} that differ between layers", shown(name)));
    value = values[0];
  } else {
    value = metadata.integer(name);
  }
  if (value && (*value < 0 || *value > kMaxSize)) metadata.reject(name, fmt::format("is {}", *value));
  return value;
}

int64_t GgufHyperparameters::size(std::string_view key) {
  auto value = optional_size(key);
  if (!value || *value < 1) model_.metadata().reject(full(key), value ? "is 0" : "is missing");
  return *value;
}

std::optional<double> GgufHyperparameters::number(std::string_view key) { return model_.metadata().number(used(key)); }

bool GgufHyperparameters::flag(std::string_view key, bool fallback) { return model_.metadata().flag(used(key)).value_or(fallback); }

std::string GgufHyperparameters::text(std::string_view key, std::string_view fallback) {
  return std::string(model_.metadata().text(used(key)).value_or(fallback));
}

std::vector<bool> GgufHyperparameters::flags(std::string_view key) {
  std::string name = used(key);
  return model_.metadata().is_list(name) ? model_.metadata().flags(name) : std::vector<bool>{};
}

int64_t GgufHyperparameters::tensor_size(std::string_view name, size_t from_last) const {
  const GgufTensor* tensor = model_.find(name);
  if (!tensor) fail(ErrorKind::corrupt, "{}: tensor {} is missing", where(), shown(name));
  if (from_last >= tensor->shape.size())
    fail(ErrorKind::corrupt, "{}: tensor {} has a shape of {}", where(), shown(name), to_string(tensor->shape));
  return tensor->shape[tensor->shape.size() - 1 - from_last];
}

std::vector<float> GgufHyperparameters::tensor_numbers(std::string_view name) const {
  const GgufTensor* tensor = model_.find(name);
  if (!tensor) return {};
  size_t count = element_count(tensor->shape);
  if (tensor->type->plain != ElementType::f32 || count > kMaxNumbers)
    fail(ErrorKind::corrupt, "{}: tensor {} holds {} of {}, a few F32 are expected", where(), shown(name), count, tensor->type->name);
  std::vector<float> numbers(count);
  unpack_to_float(ElementType::f32, tensor->bytes.data(), 0, numbers);
  return numbers;
}

void GgufHyperparameters::refuse_unused() const {
  std::string prefix = architecture_ + ".";
  for (const auto& [key, value] : model_.metadata().values()) {
    if (!key.starts_with(prefix)) continue;
    std::string_view rest = std::string_view(key).substr(prefix.size());
    bool neutral = std::find(std::begin(kNeutralKeys), std::end(kNeutralKeys), rest) != std::end(kNeutralKeys);
    if (!neutral && !used_.contains(rest) && !says_nothing(model_.metadata(), key, value)) refuse(shown(key));
  }
}

void GgufHyperparameters::refuse(std::string_view what) const {
  fail(ErrorKind::unsupported, "{}: {} is not supported for models of architecture {}; it would change the results", where(), what,
       shown(architecture_));
}

}  // namespace nibble
