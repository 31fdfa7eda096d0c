#pragma once

#include <span>
#include <vector>

#include "graph/op_set.hpp"

namespace nibble {

// What evaluate functions of data movement share. Values come from outside, so everything is checked: Error{invalid_argument}
// or {corrupt} for values that cannot be, {exhausted} for results beyond 16 GiB. Thread-safe on distinct tensors.

/// A zeroed tensor for a result.
Tensor make_output(ElementType type, Shape shape);
/// The same with memory that holds anything, for a result of which every byte is written.
Tensor make_unset_output(ElementType type, Shape shape);

/// Bytes of an element; Error{unsupported} for strings and elements smaller than a byte.
size_t element_bytes(const Tensor& tensor);
/// Bytes of `count` neighbouring elements if such runs always start and end on a byte; 0 otherwise.
size_t run_bytes(ElementType type, size_t count);
/// The tensor itself, or, where elements are smaller than a byte, a u8 tensor of their codes.
Tensor whole_bytes(const Tensor& tensor);
/// The way back: u8 codes as a packed tensor of `type`.
Tensor packed_as(const Tensor& codes, ElementType type);

/// All elements of an integer input.
std::vector<int64_t> integers(const EvalContext& context, size_t input);
/// The only element of an integer input.
int64_t scalar_integer(const EvalContext& context, size_t input);
/// [-length, length) to [0, length); Error{invalid_argument} for an index outside.
int64_t normalize_index(int64_t index, int64_t length);

/// Elements between neighbours along each axis of a dense tensor.
std::vector<size_t> dense_strides(const Shape& shape);

/// Counts through the index tuples of a shape, last axis fastest.
class Odometer {
 public:
  explicit Odometer(std::span<const int64_t> shape) : shape_(shape.begin(), shape.end()), index_(shape.size(), 0) {}
  const std::vector<int64_t>& index() const { return index_; }
  int64_t operator[](size_t axis) const { return index_[axis]; }
  /// Next tuple; false after the last one, when it starts again.
  bool next();

 private:
  Shape shape_;
  std::vector<int64_t> index_;
};

/// Where each index of a result along one axis comes from: an index of the data, or kFill.
using AxisMap = std::vector<int64_t>;
inline constexpr int64_t kFill = -1;
AxisMap identity_map(int64_t length);
std::vector<AxisMap> identity_maps(const Shape& shape);
/// Throws Error{exhausted} rather than allocating for more than 2^28 indices.
AxisMap make_map(int64_t length);

/// result[i, j, ...] = data[maps[0][i], maps[1][j], ...], `fill` (one element, zero if empty) where a map says kFill. One map per axis.
Tensor remap_axes(const Tensor& data, const std::vector<AxisMap>& maps, std::span<const std::byte> fill = {});

/// result axis i is data axis order[i].
Tensor permute_axes(const Tensor& data, std::span<const size_t> order);

/// Copies one element of `size` bytes.
void copy_element(std::byte* to, const std::byte* from, size_t size);

}  // namespace nibble
