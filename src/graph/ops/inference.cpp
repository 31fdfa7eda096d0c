#include "graph/ops/inference.hpp"

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"

namespace nibble {

ElementType merge_types(ElementType a, ElementType b) {
  if (a == ElementType::dynamic) return b;
  if (b != ElementType::dynamic && a != b) fail(ErrorKind::corrupt, "input types {} and {} differ", to_string(a), to_string(b));
  return a;
}

int64_t merge_dims(int64_t a, int64_t b) {
  if (a < 0) return b;
  if (b >= 0 && a != b) fail(ErrorKind::corrupt, "dimensions {} and {} differ", a, b);
  return a;
}

PartialShape merge_shapes(const PartialShape& a, const PartialShape& b) {
  if (!a.rank_is_known()) return b;
  if (!b.rank_is_known()) return a;
  if (a.rank() != b.rank()) fail(ErrorKind::corrupt, "shapes [{}] and [{}] differ", to_string(a), to_string(b));
  PartialShape merged = a;
  for (size_t i = 0; i < a.rank(); ++i) merged[i] = merge_dims(a[i], b[i]);
  return merged;
}

size_t normalize_axis(int64_t axis, size_t rank) {
  auto limit = static_cast<int64_t>(rank);
  if (axis < -limit || axis >= limit) fail(ErrorKind::corrupt, "axis {} is outside a tensor of {} dimensions", axis, rank);
  return static_cast<size_t>(axis < 0 ? axis + limit : axis);
}

std::vector<bool> axis_mask(std::span<const int64_t> axes, size_t rank) {
  std::vector<bool> mask(rank, false);
  for (size_t axis : normalize_axes(axes, rank)) mask[axis] = true;
  return mask;
}

size_t read_axis(const Node& node, std::string_view attribute, int64_t fallback, size_t rank) {
  return normalize_axis(node.attributes().get_int(attribute, fallback), rank);
}

std::optional<std::vector<int64_t>> known_list(Value value) {
  auto elements = partial_integers(value);
  if (!elements) return std::nullopt;
  std::vector<int64_t> list;
  for (const auto& element : *elements) {
    if (!element.is_known()) return std::nullopt;
    list.push_back(element.value);
  }
  return list;
}

void require_rank_within(const PartialShape& shape, size_t least, size_t most, std::string_view what) {
  if (!shape.rank_is_known() || (shape.rank() >= least && shape.rank() <= most)) return;
  fail(ErrorKind::corrupt, "{} of shape [{}] must have {} to {} dimensions", what, to_string(shape), least, most);
}

void infer_like_input(Node& node) {
  node.output_info().type = node.input(0).type();
  node.output_info().shape = node.input(0).shape();
}

AxisView::AxisView(const Shape& shape, size_t axis) {
  for (size_t i = 0; i < shape.size(); ++i) (i < axis ? outer : i == axis ? size : inner) *= static_cast<size_t>(shape[i]);
}

}  // namespace nibble
