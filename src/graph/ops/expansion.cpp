#include <algorithm>

#include "base/fail.hpp"
#include "graph/ops/broadcast.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Broadcast and Tile: results that repeat their data.

enum class Mode { numpy, bidirectional, explicit_axes };

Mode broadcast_mode(const Node& node) {
  if (node.attributes().equals("mode", "numpy", "numpy")) return Mode::numpy;
  if (node.attributes().equals("mode", "bidirectional", "numpy")) return Mode::bidirectional;
  if (node.attributes().equals("mode", "explicit", "numpy")) return Mode::explicit_axes;
  fail(ErrorKind::unsupported, "Broadcast mode '{}' is not supported", node.attributes().get_string("mode"));
}

/// A data dimension that must become `target`.
int64_t stretch(int64_t dim, int64_t target) {
  if (dim == 1 || dim == target || dim == kDynamic) return target;
  if (target == kDynamic) return dim;
  fail(ErrorKind::corrupt, "a dimension of {} cannot be broadcast to {}", dim, target);
}

PartialShape broadcast_numpy(const PartialShape& data, const Shape& target) {
  if (!data.rank_is_known()) return target;
  if (data.rank() > target.size()) fail(ErrorKind::corrupt, "shape [{}] cannot be broadcast to {}", to_string(data), to_string(target));
  Shape dims = target;
  size_t offset = target.size() - data.rank();
  for (size_t i = 0; i < data.rank(); ++i) dims[offset + i] = stretch(data[i], target[offset + i]);
  return dims;
}

PartialShape broadcast_explicit(const PartialShape& data, const Shape& target, const std::vector<size_t>& axes) {
  if (!data.rank_is_known()) return target;
  if (axes.size() != data.rank()) fail(ErrorKind::corrupt, "axes_mapping has {} axes for shape [{}]", axes.size(), to_string(data));
  Shape dims = target;
  for (size_t i = 0; i < axes.size(); ++i) dims[axes[i]] = stretch(data[i], target[axes[i]]);
  return dims;
}

PartialShape broadcast_known(Node& node, const Shape& target) {
  const PartialShape& data = node.input(0).shape();
  switch (broadcast_mode(node)) {
    case Mode::numpy: return broadcast_numpy(data, target);
    case Mode::bidirectional: return broadcast_shapes(data, target);
    case Mode::explicit_axes: break;
  }
  if (node.input_count() < 3) fail(ErrorKind::corrupt, "explicit broadcasting needs axes_mapping");
  auto axes = known_integers(node.input(2));
  return axes ? broadcast_explicit(data, target, normalize_axes(*axes, target.size())) : PartialShape(target);
}

void infer_broadcast(Node& node) {
  require_integers(node, 1);
  require_list(node, 1);
  auto target = partial_integers(node.input(1));
  set_output(node, 0, node.input(0).type(), target ? broadcast_known(node, to_dims(*target)) : PartialShape());
}

/// The data with as many dimensions as the result, those of 1 where it has none.
Tensor align_data(const Tensor& data, size_t rank, const std::vector<size_t>& axes) {
  Shape dims(rank, 1);
  for (size_t i = 0; i < data.rank(); ++i) dims[axes.empty() ? rank - data.rank() + i : axes[i]] = data.shape()[i];
  return data.reshaped(dims);
}

void evaluate_broadcast(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  Shape target = to_dims(to_partial(integers(context, 1)));
  Mode mode = broadcast_mode(context.node);
  std::vector<size_t> axes;
  Shape shape;
  if (mode == Mode::explicit_axes) {
    axes = normalize_axes(integers(context, 2), target.size());
    shape = broadcast_explicit(data.shape(), target, axes).dims();
  } else {
    shape = mode == Mode::numpy ? broadcast_numpy(data.shape(), target).dims() : broadcast_shapes(data.shape(), target).dims();
  }
  if (element_count(shape) == 0) {
    context.outputs[0] = make_output(context.inputs[0].type(), shape);
    return;
  }
  Tensor aligned = align_data(data, shape.size(), axes);
  std::vector<AxisMap> maps;
  for (size_t i = 0; i < shape.size(); ++i) maps.push_back(aligned.shape()[i] == 1 ? make_map(shape[i]) : identity_map(shape[i]));
  context.outputs[0] = packed_as(remap_axes(aligned, maps), context.inputs[0].type());
}

/// Data dimensions and repeats, both with as many entries as the longer has.
void align_repeats(Shape& dims, Shape& repeats) {
  size_t rank = std::max(dims.size(), repeats.size());
  dims.insert(dims.begin(), rank - dims.size(), 1);
  repeats.insert(repeats.begin(), rank - repeats.size(), 1);
}

Shape tile_shape(Shape dims, Shape repeats) {
  align_repeats(dims, repeats);
  for (size_t i = 0; i < dims.size(); ++i) dims[i] = multiply_dims(dims[i], repeats[i]);
  return dims;
}

void infer_tile(Node& node) {
  require_integers(node, 1);
  require_list(node, 1);
  const PartialShape& data = node.input(0).shape();
  auto repeats = partial_integers(node.input(1));
  set_output(node, 0, node.input(0).type(),
             repeats && data.rank_is_known() ? PartialShape(tile_shape(data.dims(), to_dims(*repeats))) : PartialShape());
}

void evaluate_tile(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  Shape dims = data.shape();
  Shape repeats = to_dims(to_partial(integers(context, 1)));
  Shape shape = tile_shape(dims, repeats);
  if (element_count(shape) == 0) {
    context.outputs[0] = make_output(context.inputs[0].type(), shape);
    return;
  }
  align_repeats(dims, repeats);
  std::vector<AxisMap> maps;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    maps.push_back(make_map(shape[axis]));
    for (int64_t i = 0; i < shape[axis]; ++i) maps.back()[static_cast<size_t>(i)] = i % dims[axis];
  }
  context.outputs[0] = packed_as(remap_axes(data.reshaped(dims), maps), context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> expansion_ops() {
  static const std::vector<OpDef> ops{
      {"Broadcast", {"opset1", "opset3"}, 2, 3, 1, infer_broadcast, evaluate_broadcast},
      {"Tile", {"opset1"}, 2, 2, 1, infer_tile, evaluate_tile},
  };
  return ops;
}

}  // namespace nibble
