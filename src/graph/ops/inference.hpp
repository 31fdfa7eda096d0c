#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "graph/node.hpp"

namespace nibble {

// What shape inference of most operations needs. Everything throws Error{corrupt} when the arguments contradict each other.

/// The type that two inputs share; `dynamic` agrees with any.
ElementType merge_types(ElementType a, ElementType b);
/// The dimension that two inputs share; kDynamic agrees with any.
int64_t merge_dims(int64_t a, int64_t b);
/// The same for whole shapes.
PartialShape merge_shapes(const PartialShape& a, const PartialShape& b);

/// Counts a negative axis from the end; throws when it is outside a tensor of `rank` dimensions.
size_t normalize_axis(int64_t axis, size_t rank);
/// For each of `rank` dimensions whether it is among `axes`; throws on axes outside the rank or named twice.
std::vector<bool> axis_mask(std::span<const int64_t> axes, size_t rank);
/// An axis attribute, counted from the front.
size_t read_axis(const Node& node, std::string_view attribute, int64_t fallback, size_t rank);
/// All elements of an integer input, if they are known before running.
std::optional<std::vector<int64_t>> known_list(Value value);

/// Throws unless the rank of `what` is unknown or within [least, most].
void require_rank_within(const PartialShape& shape, size_t least, size_t most, std::string_view what);

/// Output 0 is as input 0: most functions of one tensor.
void infer_like_input(Node& node);

/// A dense tensor seen along one axis: `outer` blocks of `size` steps, `inner` elements apart.
struct AxisView {
  size_t outer = 1, size = 1, inner = 1;
  AxisView(const Shape& shape, size_t axis);
};

}  // namespace nibble
