#include "checkpoint/prequantized/layer_reader.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

std::vector<std::string> LayerReader::layers(std::string_view suffix) const {
  std::vector<std::string> found;
  for (std::string& name : source_.names())
    if (name.size() > suffix.size() && name.ends_with(suffix)) found.push_back(name.substr(0, name.size() - suffix.size()));
  return found;
}

void LayerReader::begin(std::string layer) {
  layer_ = std::move(layer);
  parts_.clear();
}

std::string LayerReader::where() const {
  std::string file = parts_.empty() ? config_.where() : source_.info(parts_.front()).file.string();
  return fmt::format("{}: layer {}", file, shown(layer_));
}

Tensor LayerReader::tensor(std::string_view suffix, std::initializer_list<ElementType> types, size_t rank) {
  std::string name = layer_ + std::string(suffix);
  if (!source_.contains(name)) fail(ErrorKind::corrupt, "{}: tensor {} is missing", where(), shown(name));
  WeightInfo info = source_.info(name);
  if (std::find(types.begin(), types.end(), info.type) == types.end()) {
    std::string allowed;
    for (ElementType type : types) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", to_string(type));
    fail(ErrorKind::corrupt, "{}: tensor {} holds {}, expected {}", info.file.string(), shown(name), to_string(info.type), allowed);
  }
  if (info.shape.size() != rank || element_count(info.shape) == 0)
    fail(ErrorKind::corrupt, "{}: tensor {} has shape {}, expected {} dimensions with elements", info.file.string(), shown(name),
         to_string(info.shape), rank);
  leave(suffix);
  return source_.get(name);
}

Tensor LayerReader::single(std::string_view suffix, std::initializer_list<ElementType> types) {
  std::string name = layer_ + std::string(suffix);
  Tensor value = tensor(suffix, types, source_.contains(name) ? source_.info(name).shape.size() : 0);
  if (value.size() != 1) require(suffix, value, {1});
  return value;
}

void LayerReader::leave(std::string_view suffix) {
  std::string name = layer_ + std::string(suffix);
  if (source_.contains(name)) parts_.push_back(std::move(name));
}

void LayerReader::add(std::string name, std::shared_ptr<const EncodedMatrix> matrix) {
  layers_.insert_or_assign(std::move(name), QuantizedLayer{std::move(matrix), std::move(parts_)});
  parts_.clear();
}

void LayerReader::require(std::string_view suffix, const Tensor& tensor, const Shape& shape) const {
  if (tensor.shape() == shape) return;
  std::string name = layer_ + std::string(suffix);
  fail(ErrorKind::corrupt, "{}: tensor {} has shape {}, {} expected", source_.info(name).file.string(), shown(name),
       to_string(tensor.shape()), to_string(shape));
}

ElementType scale_type_of(const Tensor& scales) { return scales.type() == ElementType::f16 ? ElementType::f16 : ElementType::f32; }

}  // namespace nibble
