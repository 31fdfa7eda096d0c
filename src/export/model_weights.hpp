#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "checkpoint/weight_source.hpp"
#include "export/graph_builder.hpp"
#include "export/weight_map.hpp"

namespace nibble {

/// How float weights are stored before any compression.
enum class FloatFormat {
  stored,  ///< as in the checkpoint
  f32,
  f16,
};

/// Puts a checkpoint's tensors into a graph as constants: lazily converted views, each with the Convert to f32 that
/// OpenVINO marks as decompression. A tensor asked for twice is the same constant. For one thread.
class ModelWeights {
 public:
  /// `map` says where a weight lies; checkpoints of the bare model lack the first part of its names that others have ("model.",
  /// "transformer."), which is made up for. Throws Error{not_found} or Error{corrupt} naming the tensor.
  ModelWeights(GraphBuilder& builder, std::shared_ptr<const WeightSource> source, const WeightMap& map, FloatFormat format);

  /// A matrix for a MatMul or Gather, or several [n, out, in]; `shape` is what the configuration says. `layer` is what PyTorch calls the
  /// operation: "linear" or "embedding".
  Value matrix(const std::string& name, const Shape& shape, std::string_view layer);
  /// A small vector (norm, bias), reshaped to [1,..,1,n] of that rank.
  Value vector(const std::string& name, int64_t size, size_t rank);
  /// A small weight as an f32 constant of that shape, with `plus` added.
  Value vector(const std::string& name, const Shape& shape, float plus = 0);
  /// The torch name of the operation that consumes such a matrix: "aten::linear", or "ov_ext::linear" for 16 bits.
  std::string consumer_name(const std::string& name, std::string_view layer) const;

 private:
  WeightRecipe recipe(const std::string& name) const;
  std::string stored_name(const std::string& name) const;
  ElementType target_type(const std::string& name) const;

  GraphBuilder& builder_;
  std::shared_ptr<const WeightSource> source_;
  const WeightMap& map_;
  FloatFormat format_;
  std::unordered_map<std::string, Value> matrices_;
};

}  // namespace nibble
