#pragma once

#include <optional>
#include <span>
#include <vector>

#include "graph/op_set.hpp"
#include "graph/ops/inference.hpp"
#include "graph/partial_integers.hpp"

namespace nibble {

// Arithmetic of shape inference: -1 (kDynamic) propagates, contradictions throw Error{corrupt}. Pure functions, thread-safe.

void set_output(Node& node, size_t index, ElementType type, PartialShape shape);

/// [-rank, rank) to [0, rank) for several axes, which must be distinct; their order is kept.
std::vector<size_t> normalize_axes(std::span<const int64_t> axes, size_t rank);

int64_t add_dims(int64_t a, int64_t b);
int64_t multiply_dims(int64_t a, int64_t b);
/// Product of dims [begin, end).
int64_t multiply_dims(const Shape& dims, size_t begin, size_t end);
/// The dimension that a known or unknown integer asks for; negative ones are contradictions.
int64_t to_dim(const PartialInteger& value);
Shape to_dims(std::span<const PartialInteger> values);

void require_integers(const Node& node, size_t input);
void require_rank(const Node& node, size_t input, size_t rank);
/// An input of rank 0 or 1.
void require_list(const Node& node, size_t input);

/// The value of an integer input of one element, if it is known.
std::optional<int64_t> known_scalar(Value value);
/// Number of elements of a list input (rank 0 counts as one element), or kDynamic.
int64_t list_length(const PartialShape& shape);

/// Indices first, first + step, ... (`count` of them) of an axis.
struct StepRange {
  int64_t first, step, count;
};
/// Python's clipping of start:stop:step to an axis of `length` elements; throws Error{corrupt} when step is 0.
StepRange clip_range(int64_t start, int64_t stop, int64_t step, int64_t length);

}  // namespace nibble
