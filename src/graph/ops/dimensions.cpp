#include "graph/ops/dimensions.hpp"

#include <algorithm>
#include <limits>

#include "base/fail.hpp"

namespace nibble {

namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

}  // namespace

void set_output(Node& node, size_t index, ElementType type, PartialShape shape) {
  node.output_info(index).type = type;
  node.output_info(index).shape = std::move(shape);
}

std::vector<size_t> normalize_axes(std::span<const int64_t> axes, size_t rank) {
  if (axes.size() > rank) fail(ErrorKind::corrupt, "{} axes for a shape of rank {}", axes.size(), rank);
  std::vector<size_t> normal;
  for (int64_t axis : axes) {
    size_t found = normalize_axis(axis, rank);
    if (std::find(normal.begin(), normal.end(), found) != normal.end()) fail(ErrorKind::corrupt, "axis {} is named twice", axis);
    normal.push_back(found);
  }
  return normal;
}

int64_t add_dims(int64_t a, int64_t b) {
  if (a == kDynamic || b == kDynamic) return kDynamic;
  if (a > kMax - b) fail(ErrorKind::corrupt, "dimensions {} and {} are too large to add", a, b);
  return a + b;
}

int64_t multiply_dims(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  if (a == kDynamic || b == kDynamic) return kDynamic;
  if (a > kMax / b) fail(ErrorKind::corrupt, "dimensions {} and {} are too large to multiply", a, b);
  return a * b;
}

int64_t multiply_dims(const Shape& dims, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t i = begin; i < end; ++i) product = multiply_dims(product, dims[i]);
  return product;
}

int64_t to_dim(const PartialInteger& value) {
  if (!value.is_known()) return kDynamic;
  if (value.value < 0) fail(ErrorKind::corrupt, "{} is no dimension", value.value);
  return value.value;
}

Shape to_dims(std::span<const PartialInteger> values) {
  Shape dims;
  for (const auto& value : values) dims.push_back(to_dim(value));
  return dims;
}

void require_integers(const Node& node, size_t input) {
  ElementType type = node.input(input).type();
  if (type != ElementType::dynamic && !is_integer(type))
    fail(ErrorKind::corrupt, "input {} should hold integers, not {}", input, to_string(type));
}

void require_rank(const Node& node, size_t input, size_t rank) {
  const PartialShape& shape = node.input(input).shape();
  if (shape.rank_is_known() && shape.rank() != rank)
    fail(ErrorKind::corrupt, "input {} should have rank {}, not shape [{}]", input, rank, to_string(shape));
}

void require_list(const Node& node, size_t input) {
  const PartialShape& shape = node.input(input).shape();
  if (shape.rank_is_known() && shape.rank() > 1)
    fail(ErrorKind::corrupt, "input {} should be a list, not of shape [{}]", input, to_string(shape));
}

std::optional<int64_t> known_scalar(Value value) {
  auto values = partial_integers(value);
  if (!values) return std::nullopt;
  if (values->size() != 1) fail(ErrorKind::corrupt, "{} elements where one is expected", values->size());
  if (!values->front().is_known()) return std::nullopt;
  return values->front().value;
}

int64_t list_length(const PartialShape& shape) {
  if (!shape.rank_is_known()) return kDynamic;
  return multiply_dims(shape.dims(), 0, shape.rank());
}

StepRange clip_range(int64_t start, int64_t stop, int64_t step, int64_t length) {
  if (step == 0) fail(ErrorKind::corrupt, "a slice needs a step other than 0");
  if (start < 0) start += length;
  if (stop < 0) stop += length;
  // Beyond the axis one step is as good as another; small ones cannot overflow.
  int64_t limit = std::min(length, kMax - 1) + 1;
  step = std::clamp(step, -limit, limit);
  int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? length : length - 1;
  start = std::clamp(start, lowest, highest);
  stop = std::clamp(stop, lowest, highest);
  int64_t distance = step > 0 ? stop - start : start - stop;
  int64_t stride = step > 0 ? step : -step;
  return {start, step, distance > 0 ? (distance - 1) / stride + 1 : 0};
}

}  // namespace nibble
