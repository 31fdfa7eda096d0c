#include "graph/ops/broadcast.hpp"

#include "base/fail.hpp"
#include "graph/ops/inference.hpp"

namespace nibble {

namespace {

int64_t broadcast_dim(int64_t a, int64_t b, const PartialShape& left, const PartialShape& right) {
  if (a == 1) return b;
  if (b == 1) return a;
  if (a >= 0 && b >= 0 && a != b)
    fail(ErrorKind::corrupt, "shapes [{}] and [{}] cannot be broadcast together", to_string(left), to_string(right));
  return std::max(a, b);  // a dynamic dimension facing a known one beyond 1 must be 1 or equal to it
}

size_t pdpd_start(const PartialShape& shape, size_t rank, int64_t axis) {
  int64_t start = axis < 0 ? static_cast<int64_t>(rank) - static_cast<int64_t>(shape.rank()) : axis;
  if (start < 0 || start > static_cast<int64_t>(rank))
    fail(ErrorKind::corrupt, "shape [{}] does not fit {} dimensions at axis {}", to_string(shape), rank, axis);
  return static_cast<size_t>(start);
}

}  // namespace

AutoBroadcast::AutoBroadcast(const Attributes& attributes) : axis(attributes.get_int("axis", -1)) {
  if (attributes.equals("auto_broadcast", "none", "numpy"))
    rule = Rule::none;
  else if (attributes.equals("auto_broadcast", "pdpd", "numpy"))
    rule = Rule::pdpd;
  else if (!attributes.equals("auto_broadcast", "numpy", "numpy"))
    fail(ErrorKind::unsupported, "auto_broadcast=\"{}\" is not known to Nibble", attributes.get_string("auto_broadcast"));
}

PartialShape align_shape(const PartialShape& shape, size_t rank, const AutoBroadcast& broadcast) {
  Shape dims = shape.dims();
  if (broadcast.rule != AutoBroadcast::Rule::pdpd) {
    if (dims.size() < rank) dims.insert(dims.begin(), rank - dims.size(), 1);
    return dims;
  }
  size_t start = pdpd_start(shape, rank, broadcast.axis);
  while (start + dims.size() > rank && !dims.empty() && dims.back() == 1) dims.pop_back();
  if (start + dims.size() > rank)
    fail(ErrorKind::corrupt, "shape [{}] does not fit {} dimensions at axis {}", to_string(shape), rank, start);
  dims.insert(dims.begin(), start, 1);
  dims.resize(rank, 1);
  return dims;
}

PartialShape broadcast_shapes(const PartialShape& a, const PartialShape& b, const AutoBroadcast& broadcast) {
  if (broadcast.rule == AutoBroadcast::Rule::none) return merge_shapes(a, b);
  if (!a.rank_is_known() || !b.rank_is_known()) return {};
  size_t rank = broadcast.rule == AutoBroadcast::Rule::pdpd ? a.rank() : std::max(a.rank(), b.rank());
  PartialShape left = align_shape(a, rank);
  PartialShape right = align_shape(b, rank, broadcast);
  PartialShape out = PartialShape::of_rank(rank);
  for (size_t i = 0; i < rank; ++i) out[i] = broadcast_dim(left[i], right[i], a, b);
  return out;
}

}  // namespace nibble
