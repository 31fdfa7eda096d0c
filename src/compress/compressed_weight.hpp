#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "compress/group_scales.hpp"
#include "compress/quantize.hpp"
#include "compress/weight_layout.hpp"
#include "graph/constant.hpp"

namespace nibble {

/// The float weight, how it is cut into groups and by what rule they become codes.
struct WeightTask {
  std::string name;  ///< of the constant
  ConstantValue weight;
  WeightLayout layout;
  QuantizeRule rule;
  std::shared_ptr<const LevelTable> levels;  ///< keeps a user's table alive
  Tensor codebook;                           ///< codebook modes: the table as it is stored
  std::shared_ptr<const GroupScales> given;  ///< scales to use in place of those of the weights' range; nothing = those
  Tensor stored_codes;                       ///< codes that are already known (`given` is then set)
};

/// Element type of the codes; of a codebook of up to 16 entries u4.
ElementType code_type(const WeightTask& task);

/// The one f32 scale over all group scales of nvfp4 ("second_order_scale"), of shape [1, .., 1]. It takes a pass over the whole
/// weight, made when it is first asked for: threads that ask meanwhile make parts of it instead of waiting. Thread-safe.
class SecondOrderScale final : public ConstantSource {
 public:
  explicit SecondOrderScale(std::shared_ptr<const WeightTask> task);
  /// Throws what reading the weight throws.
  float value() const;

  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return ElementType::f32; }
  const Shape& shape(size_t) const override { return shape_; }
  int64_t rows() const override { return 1; }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override;

 private:
  void finish_part(float largest, std::exception_ptr error) const;

  std::shared_ptr<const WeightTask> task_;
  Shape shape_;
  size_t step_;  // blocks of a part of the pass
  mutable std::atomic<size_t> next_{0};
  mutable std::mutex mutex_;
  mutable std::condition_variable done_;
  mutable size_t left_;  // parts
  mutable float largest_ = 0;
  mutable std::exception_ptr error_;
};

/// Codes, scales and (asymmetric modes) zero points of a float weight, made from slices of it on demand. Immutable and
/// thread-safe; one produce() runs on the calling thread, and throws Error{corrupt} for weights that are infinite or not a number.
class CompressedWeight final : public ConstantSource {
 public:
  static constexpr size_t kCodes = 0, kScales = 1, kZeroPoints = 2;

  /// `second_order` for nvfp4 only.
  CompressedWeight(std::shared_ptr<const WeightTask> task, std::shared_ptr<const SecondOrderScale> second_order);

  size_t output_count() const override { return outputs_.size(); }
  ElementType type(size_t output) const override { return outputs_[output].type; }
  const Shape& shape(size_t output) const override { return outputs_[output].shape; }
  int64_t rows() const override { return rows_; }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override;

 private:
  struct Output {
    ElementType type;
    Shape shape;
  };
  std::shared_ptr<const WeightTask> task_;
  std::shared_ptr<const SecondOrderScale> second_order_;
  std::vector<Output> outputs_;
  int64_t rows_;
};

/// The constants that stand for a weight.
struct CompressedConstants {
  ConstantValue codes, scales;
  std::optional<ConstantValue> zero_points;
  std::shared_ptr<const SecondOrderScale> second_order;  ///< nvfp4
};

/// Lazy ones, or known codes with their scales.
CompressedConstants compressed_constants(const std::shared_ptr<const WeightTask>& task);

}  // namespace nibble
