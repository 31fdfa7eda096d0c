#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/prequantized/grouped_matrix.hpp"
#include "checkpoint/prequantized/quantization_config.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble {

/// A quantized layer and the tensors that it is made of.
struct QuantizedLayer {
  std::shared_ptr<const EncodedMatrix> matrix;
  std::vector<std::string> parts;
};

/// A checkpoint as the readers of quantized formats see it: layers by what the names of their tensors end in. For one thread.
class LayerReader {
 public:
  LayerReader(const WeightSource& source, const QuantizationConfig& config) : source_(source), config_(config) {}
  const QuantizationConfig& config() const { return config_; }
  const WeightSource& source() const { return source_; }

  /// The names before `suffix` (".qweight"), sorted.
  std::vector<std::string> layers(std::string_view suffix) const;

  /// The layer whose tensors are asked for until the next one.
  void begin(std::string layer);
  const std::string& layer() const { return layer_; }
  bool has(std::string_view suffix) const { return source_.contains(layer_ + std::string(suffix)); }
  WeightInfo info(std::string_view suffix) const { return source_.info(layer_ + std::string(suffix)); }
  /// A tensor of the layer; throws Error{corrupt} where it is missing or of another type or rank.
  Tensor tensor(std::string_view suffix, std::initializer_list<ElementType> types, size_t rank);
  /// The same, as a scalar.
  Tensor single(std::string_view suffix, std::initializer_list<ElementType> types);
  /// Marks a tensor that belongs to the layer and is not needed.
  void leave(std::string_view suffix);
  /// Ends the layer: the matrix takes the place of the tensors under `name`.
  void add(std::string name, std::shared_ptr<const EncodedMatrix> matrix);

  /// Throws Error{corrupt} unless the tensor has this shape.
  void require(std::string_view suffix, const Tensor& tensor, const Shape& shape) const;
  /// "model.safetensors: layer 'model.layers.0.mlp.up_proj'": how messages begin.
  std::string where() const;

  /// Something that a user should know about how the checkpoint is read.
  void note(std::string text) { notes_.push_back(std::move(text)); }

  std::map<std::string, QuantizedLayer, std::less<>> take_layers() { return std::move(layers_); }
  std::vector<std::string> take_notes() { return std::move(notes_); }

 private:
  const WeightSource& source_;
  const QuantizationConfig& config_;
  std::string layer_;
  std::vector<std::string> parts_;
  std::map<std::string, QuantizedLayer, std::less<>> layers_;
  std::vector<std::string> notes_;
};

/// Float types that scales may have.
inline constexpr std::initializer_list<ElementType> kScaleTypes{ElementType::f16, ElementType::bf16, ElementType::f32};
/// f16 for scales of that type, else f32.
ElementType scale_type_of(const Tensor& scales);

}  // namespace nibble
