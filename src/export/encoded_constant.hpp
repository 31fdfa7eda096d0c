#pragma once

#include <memory>
#include <span>

#include "export/weight_parts.hpp"
#include "graph/constant.hpp"

namespace nibble {

/// Codes, scales and zero points of a weight that the checkpoint holds in codes, row by row from its parts. Immutable and thread-safe.
class EncodedConstant final : public ConstantSource {
 public:
  static constexpr size_t kCodes = 0, kScales = 1, kZeroPoints = 2;

  /// The weight of a recipe, where all its parts have the same grid and order of columns; nullptr otherwise. Throws Error{corrupt} where
  /// the checkpoint's matrices do not give `shape`.
  static std::shared_ptr<const EncodedConstant> make(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape);

  const CodeGrid& grid() const { return *grid_; }
  /// Of EncodedMatrix: column j of the codes is column column_order()[j] of the weight.
  std::span<const int32_t> column_order() const { return parts_.parts().front().encoded()->column_order(); }
  bool has_zero_points() const { return grid_->has_zero_points; }

  size_t output_count() const override { return has_zero_points() ? 3 : 2; }
  ElementType type(size_t output) const override;
  /// Codes [.., groups, group size] and the others [.., groups, 1]; with one group in a row [.., columns] and [.., 1].
  const Shape& shape(size_t output) const override { return output == kCodes ? codes_ : scales_; }
  int64_t rows() const override { return parts_.rows(); }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override;

 private:
  EncodedConstant(WeightParts parts, const Shape& shape);

  WeightParts parts_;
  const CodeGrid* grid_;  // of the first part
  Shape codes_, scales_;
};

}  // namespace nibble
