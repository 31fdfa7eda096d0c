#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Concat, Split, VariadicSplit and Transpose.

constexpr int64_t kMaxSplits = 4096;

int64_t concat_axis(const Node& node) {
  if (!node.attributes().find("axis")) fail(ErrorKind::corrupt, "attribute axis is missing");
  return node.attributes().get_int("axis", 0);
}

PartialShape concat_shape(const std::vector<PartialShape>& shapes, int64_t axis) {
  PartialShape merged;
  int64_t length = 0;
  for (PartialShape shape : shapes) {
    if (!shape.rank_is_known()) {
      length = kDynamic;
      continue;
    }
    size_t at = normalize_axis(axis, shape.rank());
    length = add_dims(length, shape[at]);
    shape[at] = kDynamic;
    merged = merge_shapes(merged, shape);
  }
  if (merged.rank_is_known()) merged[normalize_axis(axis, merged.rank())] = length;
  return merged;
}

void infer_concat(Node& node) {
  ElementType type = ElementType::dynamic;
  std::vector<PartialShape> shapes;
  for (const Value& input : node.inputs()) {
    type = merge_types(type, input.type());
    shapes.push_back(input.shape());
  }
  set_output(node, 0, type, concat_shape(shapes, concat_axis(node)));
}

/// Bytes of a run of `inner` elements in tensors of this type, or 0 when they must be unpacked first.
bool moves_packed(ElementType type, size_t inner) { return inner > 0 && run_bytes(type, inner) > 0; }

void evaluate_concat(EvalContext& context) {
  std::vector<PartialShape> shapes;
  for (const Tensor& input : context.inputs) {
    merge_types(input.type(), context.inputs[0].type());
    shapes.emplace_back(input.shape());
  }
  Shape shape = concat_shape(shapes, concat_axis(context.node)).dims();
  size_t axis = normalize_axis(concat_axis(context.node), shape.size());
  ElementType type = context.inputs[0].type();
  AxisView view(shape, axis);
  bool packed = moves_packed(type, view.inner);
  std::vector<Tensor> parts;
  for (const Tensor& input : context.inputs) parts.push_back(packed ? input : whole_bytes(input));
  Tensor out = make_unset_output(parts[0].type(), shape);
  std::byte* to = out.mutable_data();
  for (size_t outer = 0; out.size() > 0 && outer < view.outer; ++outer)
    for (const Tensor& part : parts) {
      size_t bytes = part.byte_size() / view.outer;
      if (bytes > 0) std::memcpy(to, part.data() + outer * bytes, bytes);
      to += bytes;
    }
  context.outputs[0] = packed_as(out, type);
}

/// One output per length along the axis.
void split(EvalContext& context, size_t axis, std::span<const int64_t> lengths) {
  ElementType type = context.inputs[0].type();
  AxisView view(context.inputs[0].shape(), axis);
  Tensor data = moves_packed(type, view.inner) ? context.inputs[0] : whole_bytes(context.inputs[0]);
  size_t unit = run_bytes(data.type(), view.inner), first = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    Shape shape = data.shape();
    shape[axis] = lengths[i];
    Tensor out = make_unset_output(data.type(), shape);
    size_t bytes = static_cast<size_t>(lengths[i]) * unit;
    for (size_t outer = 0; out.size() > 0 && outer < view.outer; ++outer)
      std::memcpy(out.mutable_data() + outer * bytes, data.data() + (outer * view.size + first) * unit, bytes);
    first += static_cast<size_t>(lengths[i]);
    context.outputs[i] = packed_as(out, type);
  }
}

int64_t split_length(int64_t length, int64_t count) {
  if (length == kDynamic) return kDynamic;
  if (length % count != 0) fail(ErrorKind::corrupt, "an axis of {} elements cannot be split into {} equal parts", length, count);
  return length / count;
}

void infer_split(Node& node) {
  require_integers(node, 1);
  int64_t count = node.attributes().get_int("num_splits", 0);
  if (count < 1 || count > kMaxSplits) fail(ErrorKind::corrupt, "num_splits should be in [1, {}], not {}", kMaxSplits, count);
  node.set_output_count(static_cast<size_t>(count));
  PartialShape shape = node.input(0).shape();
  auto axis = known_scalar(node.input(1));
  if (shape.rank_is_known() && axis) {
    size_t at = normalize_axis(*axis, shape.rank());
    shape[at] = split_length(shape[at], count);
  } else if (shape.rank_is_known()) {
    shape = PartialShape::of_rank(shape.rank());
  }
  for (size_t i = 0; i < node.output_count(); ++i) set_output(node, i, node.input(0).type(), shape);
}

void evaluate_split(EvalContext& context) {
  const Shape& shape = context.inputs[0].shape();
  size_t axis = normalize_axis(scalar_integer(context, 1), shape.size());
  auto count = context.outputs.size();
  std::vector<int64_t> lengths(count, split_length(shape[axis], static_cast<int64_t>(count)));
  split(context, axis, lengths);
}

/// Lengths with -1 replaced by the rest of the axis; unknown ones stay dynamic.
Shape complete_lengths(const PartialIntegers& lengths, int64_t length) {
  Shape dims;
  int64_t sum = 0;
  std::optional<size_t> rest;
  for (const PartialInteger& value : lengths) {
    if (value.is_known() && value.value == -1) {
      if (rest) fail(ErrorKind::corrupt, "more than one split length is -1");
      rest = dims.size();
      dims.push_back(kDynamic);
      continue;
    }
    dims.push_back(to_dim(value));
    sum = add_dims(sum, dims.back());
  }
  if (sum == kDynamic || length == kDynamic) return dims;
  if (rest ? sum > length : sum != length) fail(ErrorKind::corrupt, "split lengths do not add up to the axis's {} elements", length);
  if (rest) dims[*rest] = length - sum;
  return dims;
}

size_t variadic_count(const Node& node) {
  int64_t count = list_length(node.input(2).shape());
  if (count == kDynamic || count > kMaxSplits)
    fail(ErrorKind::unsupported, "the number of split lengths should be known and at most {}", kMaxSplits);
  return static_cast<size_t>(count);
}

void infer_variadic_split(Node& node) {
  require_integers(node, 1);
  require_integers(node, 2);
  require_list(node, 2);
  node.set_output_count(variadic_count(node));
  const PartialShape& data = node.input(0).shape();
  auto axis = known_scalar(node.input(1));
  auto lengths = partial_integers(node.input(2)).value_or(PartialIntegers(node.output_count()));
  PartialShape shape = data;
  std::optional<size_t> at;
  if (data.rank_is_known() && axis) at = normalize_axis(*axis, data.rank());
  if (data.rank_is_known() && !axis) shape = PartialShape::of_rank(data.rank());
  Shape dims = complete_lengths(lengths, at ? data[*at] : kDynamic);
  for (size_t i = 0; i < node.output_count(); ++i) {
    if (at) shape[*at] = dims[i];
    set_output(node, i, node.input(0).type(), shape);
  }
}

void evaluate_variadic_split(EvalContext& context) {
  const Shape& shape = context.inputs[0].shape();
  size_t axis = normalize_axis(scalar_integer(context, 1), shape.size());
  Shape lengths = complete_lengths(to_partial(integers(context, 2)), shape[axis]);
  if (lengths.size() != context.outputs.size())
    fail(ErrorKind::corrupt, "{} split lengths for {} outputs", lengths.size(), context.outputs.size());
  split(context, axis, lengths);
}

/// An empty order reverses the axes.
std::vector<size_t> axis_order(const std::vector<int64_t>& order, size_t rank) {
  std::vector<size_t> axes(rank);
  std::iota(axes.rbegin(), axes.rend(), size_t{0});
  if (order.empty()) return axes;
  if (order.size() != rank) fail(ErrorKind::corrupt, "an order of {} axes for data of rank {}", order.size(), rank);
  return normalize_axes(order, rank);
}

void infer_transpose(Node& node) {
  require_integers(node, 1);
  require_list(node, 1);
  const PartialShape& data = node.input(0).shape();
  auto order = known_integers(node.input(1));
  PartialShape shape;
  if (data.rank_is_known()) {
    shape = PartialShape::of_rank(data.rank());
    if (order) {
      auto axes = axis_order(*order, data.rank());
      for (size_t i = 0; i < axes.size(); ++i) shape[i] = data[axes[i]];
    }
  } else if (order && !order->empty()) {
    shape = PartialShape::of_rank(order->size());
  }
  set_output(node, 0, node.input(0).type(), shape);
}

void evaluate_transpose(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  auto order = axis_order(integers(context, 1), data.rank());
  context.outputs[0] = packed_as(permute_axes(data, order), context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> movement_ops() {
  static const std::vector<OpDef> ops{
      {"Concat", {"opset1"}, 1, -1, 1, infer_concat, evaluate_concat},
      {"Split", {"opset1"}, 2, 2, -1, infer_split, evaluate_split},
      {"VariadicSplit", {"opset1"}, 3, 3, -1, infer_variadic_split, evaluate_variadic_split},
      {"Transpose", {"opset1"}, 2, 2, 1, infer_transpose, evaluate_transpose},
  };
  return ops;
}

}  // namespace nibble
