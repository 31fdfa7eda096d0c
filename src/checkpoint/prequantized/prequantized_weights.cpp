#include "checkpoint/prequantized/prequantized_weights.hpp"

#include <algorithm>

#include "tensor/convert.hpp"

namespace nibble {

Tensor decode(const EncodedMatrix& matrix) {
  const Shape& shape = matrix.shape();
  Tensor out(matrix.float_type(), shape);
  auto columns = static_cast<size_t>(shape.back());
  std::vector<float> row(columns);
  for (size_t r = 0; r * columns < out.size(); ++r) {
    matrix.read(static_cast<int64_t>(r), 0, row);
    pack_from_float(out.type(), row, out.mutable_data(), r * columns);
  }
  return out;
}

PrequantizedWeights::PrequantizedWeights(std::shared_ptr<const WeightSource> stored, Layers layers)
    : stored_(std::move(stored)), layers_(std::move(layers)) {
  for (const auto& [name, layer] : layers_) hidden_.insert(layer.parts.begin(), layer.parts.end());
}

std::vector<std::string> PrequantizedWeights::names() const {
  std::vector<std::string> names;
  for (std::string& name : stored_->names())
    if (!hidden_.contains(name)) names.push_back(std::move(name));
  for (const auto& [name, layer] : layers_) names.push_back(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool PrequantizedWeights::contains(std::string_view name) const {
  return layers_.contains(name) || (!hidden_.contains(name) && stored_->contains(name));
}

WeightInfo PrequantizedWeights::info(std::string_view name) const {
  auto found = layers_.find(name);
  if (found == layers_.end()) return stored_->info(name);
  const QuantizedLayer& layer = found->second;
  return {layer.matrix->float_type(), layer.matrix->shape(), stored_->info(layer.parts.front()).file};
}

Tensor PrequantizedWeights::get(std::string_view name) const {
  auto found = layers_.find(name);
  return found == layers_.end() ? stored_->get(name) : decode(*found->second.matrix);
}

std::shared_ptr<const EncodedMatrix> PrequantizedWeights::encoded(std::string_view name) const {
  auto found = layers_.find(name);
  return found == layers_.end() ? stored_->encoded(name) : found->second.matrix;
}

void PrequantizedWeights::release(std::string_view name, PageCache cache) const {
  auto found = layers_.find(name);
  if (found == layers_.end()) return stored_->release(name, cache);
  for (const std::string& part : found->second.parts) stored_->release(part, cache);
}

}  // namespace nibble
