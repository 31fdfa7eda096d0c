#pragma once

#include <memory>

#include "checkpoint/prequantized/layer_reader.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble {

/// A checkpoint with quantized layers in the place of the tensors that they are made of. Thread-safe, immutable.
class PrequantizedWeights final : public WeightSource {
 public:
  using Layers = std::map<std::string, QuantizedLayer, std::less<>>;
  PrequantizedWeights(std::shared_ptr<const WeightSource> stored, Layers layers);

  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override;
  WeightInfo info(std::string_view name) const override;
  Tensor get(std::string_view name) const override;
  std::shared_ptr<const EncodedMatrix> encoded(std::string_view name) const override;
  void release(std::string_view name, PageCache cache) const override;
  const std::map<std::string, std::string>& metadata() const override { return stored_->metadata(); }

 private:
  std::shared_ptr<const WeightSource> stored_;
  Layers layers_;
  std::set<std::string, std::less<>> hidden_;
};

/// All of a matrix as a tensor of its float type.
Tensor decode(const EncodedMatrix& matrix);

}  // namespace nibble
