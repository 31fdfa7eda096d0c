#include "checkpoint/strided_copy.hpp"

#include <cstring>
#include <vector>

namespace nibble {

namespace {

/// Where in the source each row (run along the last dimension) starts, in row-major order.
class RowWalk {
 public:
  RowWalk(const Shape& shape, std::span<const int64_t> strides) : shape_(shape), strides_(strides), index_(shape.size(), 0) {}

  size_t offset() const { return static_cast<size_t>(offset_); }

  void next() {
    for (size_t d = shape_.size() - 1; d-- > 0;) {
      offset_ += strides_[d];
      if (++index_[d] < shape_[d]) return;
      offset_ -= strides_[d] * shape_[d];
      index_[d] = 0;
    }
  }

 private:
  const Shape& shape_;
  std::span<const int64_t> strides_;
  std::vector<int64_t> index_;
  int64_t offset_ = 0;
};

template <size_t width>
void copy_rows(const Shape& shape, std::span<const int64_t> strides, const std::byte* source, Tensor& out) {
  RowWalk walk(shape, strides);
  auto* to = out.mutable_data();
  const auto* end = to + out.byte_size();
  auto columns = static_cast<size_t>(shape.back());
  size_t step = static_cast<size_t>(strides.back()) * width;
  for (; to < end; walk.next()) {
    const auto* from = source + walk.offset() * width;
    for (size_t i = 0; i < columns; ++i, to += width) std::memcpy(to, from + i * step, width);
  }
}

}  // namespace

bool is_dense(const Shape& shape, std::span<const int64_t> strides) {
  if (element_count(shape) == 0) return true;
  int64_t expected = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    if (shape[d] != 1 && strides[d] != expected) return false;
    expected *= shape[d];
  }
  return true;
}

Tensor copy_strided(ElementType type, const Shape& shape, std::span<const int64_t> strides, std::span<const std::byte> source) {
  Tensor out(type, shape);
  if (out.size() == 0) return out;
  if (shape.empty()) return Tensor::view(type, shape, source, nullptr).clone();
  switch (bit_width(type)) {
    case 8: copy_rows<1>(shape, strides, source.data(), out); break;
    case 16: copy_rows<2>(shape, strides, source.data(), out); break;
    case 32: copy_rows<4>(shape, strides, source.data(), out); break;
    default: copy_rows<8>(shape, strides, source.data(), out); break;
  }
  return out;
}

}  // namespace nibble
