#pragma once

#include <memory>
#include <vector>

#include "compress/weight_matrix.hpp"

namespace nibble {

/// A MatMul's weight with its rows or columns multiplied by factors, in its own element type; made from slices of the original on demand.
/// Immutable and thread-safe.
class ScaledWeight final : public ConstantSource {
 public:
  enum class Axis { rows, columns };

  /// `factors` holds one per row (column) of each matrix.
  ScaledWeight(ConstantValue weight, const MatrixLayout& layout, Axis axis, std::vector<float> factors);

  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return weight_.type(); }
  const Shape& shape(size_t) const override { return weight_.shape(); }
  int64_t rows() const override;
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override;

 private:
  void scale(size_t first, std::span<float> values) const;

  ConstantValue weight_;
  MatrixLayout layout_;
  Axis axis_;
  std::vector<float> factors_;
};

}  // namespace nibble
