#pragma once

#include <memory>

#include "compress/compressed_weight.hpp"

namespace nibble {

/// A weight whose codes are known, as floats of its original element type: what layers compute with while later ones are being
/// compressed. Immutable and thread-safe.
class DequantizedWeight final : public ConstantSource {
 public:
  /// `task` must have stored codes.
  explicit DequantizedWeight(std::shared_ptr<const WeightTask> task);

  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return task_->weight.type(); }
  const Shape& shape(size_t) const override { return task_->weight.shape(); }
  int64_t rows() const override { return static_cast<int64_t>(task_->layout.rows); }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override;

 private:
  std::shared_ptr<const WeightTask> task_;
};

}  // namespace nibble
