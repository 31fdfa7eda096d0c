#pragma once

#include <memory>
#include <span>

#include "base/mapped_file.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// Makes the values of one or several constants on demand (converted, quantized, ...), in slices, so that a model's
/// weights never have to be in memory at once. Immutable and thread-safe.
class ConstantSource {
 public:
  virtual ~ConstantSource() = default;

  /// The constants made together: e.g. codes, zero points and scales of a quantized weight.
  virtual size_t output_count() const = 0;
  virtual ElementType type(size_t output) const = 0;
  virtual const Shape& shape(size_t output) const = 0;

  /// Work is cut along rows: every output has rows() equal slices of elements, one after the other.
  virtual int64_t rows() const = 0;
  /// Fills rows [begin, end) of every output; out[k] holds the packed bytes of these rows only. `begin` is a multiple of
  /// 8, so every slice starts on a byte; `end` is one too or rows().
  virtual void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const = 0;
};

/// The value of a Const node: a view (mapped or in memory) or one output of a source. Cheap to copy.
class ConstantValue {
 public:
  ConstantValue() = default;
  ConstantValue(Tensor tensor) : tensor_(std::move(tensor)) {}
  ConstantValue(std::shared_ptr<const ConstantSource> source, size_t output) : source_(std::move(source)), output_(output) {}

  ElementType type() const { return source_ ? source_->type(output_) : tensor_.type(); }
  const Shape& shape() const { return source_ ? source_->shape(output_) : tensor_.shape(); }
  size_t byte_size() const;
  bool is_lazy() const { return source_ != nullptr; }
  const std::shared_ptr<const ConstantSource>& source() const { return source_; }
  size_t output() const { return output_; }

  /// The tensor as it lies in its file, at any alignment; empty for a lazy value.
  const Tensor& view() const { return tensor_; }
  /// The whole value, made now if it is lazy; aligned to its element type.
  Tensor tensor() const;

 private:
  Tensor tensor_;
  std::shared_ptr<const ConstantSource> source_;
  size_t output_ = 0;
};

/// Bytes of rows [begin, end) of one output of a source with `rows` rows; `begin` must start on a byte.
size_t row_slice_bytes(const ConstantSource& source, size_t output, int64_t begin, int64_t end);

}  // namespace nibble
