#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "checkpoint/weight_source.hpp"
#include "export/graph_builder.hpp"

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
  /// `source` is kept alive by the constants.
  ModelWeights(GraphBuilder& builder, std::shared_ptr<const WeightSource> source, FloatFormat format);

  bool contains(std::string_view name) const { return source_->contains(name); }

  /// A matrix for a MatMul or Gather; `shape` is what the configuration says. Throws Error{not_found} or Error{corrupt}
  /// naming the tensor. `layer` is what PyTorch calls the operation: "linear" or "embedding".
  Value matrix(const std::string& name, const Shape& shape, std::string_view layer);
  /// A small vector (norm, bias) as an f32 constant, reshaped to [1,..,1,n] of that rank.
  Value vector(const std::string& name, int64_t size, size_t rank);
  /// The torch name of the operation that consumes such a matrix: "aten::linear", or "ov_ext::linear" for 16 bits.
  std::string consumer_name(const std::string& name, std::string_view layer) const;

 private:
  ElementType target_type(std::string_view name) const;
  void check_shape(const std::string& name, const Shape& shape) const;

  GraphBuilder& builder_;
  std::shared_ptr<const WeightSource> source_;
  FloatFormat format_;
  std::unordered_map<std::string, Value> matrices_;
};

}  // namespace nibble
