#include <algorithm>
#include <cstring>

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Results with the same elements in another order: Reverse, ReverseSequence, Roll, DepthToSpace, SpaceToDepth, ShuffleChannels.

void infer_same(Node& node) { set_output(node, 0, node.input(0).type(), node.input(0).shape()); }

bool reverses_by_mask(const Node& node) {
  if (node.attributes().equals("mode", "mask", "index")) return true;
  if (node.attributes().equals("mode", "index", "index")) return false;
  fail(ErrorKind::corrupt, "Reverse mode '{}' is neither index nor mask", node.attributes().get_string("mode"));
}

void evaluate_reverse(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  std::vector<int64_t> axes = integers(context, 1);
  if (reverses_by_mask(context.node)) {
    if (axes.size() != data.rank()) fail(ErrorKind::corrupt, "a mask of {} elements for rank {}", axes.size(), data.rank());
    std::vector<int64_t> flags;
    flags.swap(axes);
    for (size_t i = 0; i < flags.size(); ++i)
      if (flags[i]) axes.push_back(static_cast<int64_t>(i));
  }
  std::vector<AxisMap> maps = identity_maps(data.shape());
  for (size_t axis : normalize_axes(axes, data.rank())) std::reverse(maps[axis].begin(), maps[axis].end());
  context.outputs[0] = packed_as(remap_axes(data, maps), context.inputs[0].type());
}

void infer_reverse(Node& node) {
  reverses_by_mask(node);
  infer_same(node);
}

void evaluate_reverse_sequence(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  const Shape& shape = data.shape();
  size_t batch = normalize_axis(context.node.attributes().get_int("batch_axis", 0), shape.size());
  size_t sequence = normalize_axis(context.node.attributes().get_int("seq_axis", 1), shape.size());
  std::vector<int64_t> lengths = integers(context, 1);
  if (static_cast<int64_t>(lengths.size()) != shape[batch])
    fail(ErrorKind::corrupt, "{} sequence lengths for a batch of {}", lengths.size(), shape[batch]);
  for (int64_t length : lengths)
    if (length < 0 || length > shape[sequence])
      fail(ErrorKind::invalid_argument, "a sequence length of {} in an axis of {} elements", length, shape[sequence]);
  Tensor out = make_output(data.type(), shape);
  size_t last = std::max(batch, sequence);
  std::vector<size_t> strides = dense_strides(shape);
  size_t bytes = element_bytes(data), run = strides[last] * bytes;
  std::byte* to = out.mutable_data();
  Odometer at{std::span(shape).first(last + 1)};
  for (size_t runs = run == 0 ? 0 : out.byte_size() / run; runs > 0; --runs, at.next()) {
    int64_t length = lengths[static_cast<size_t>(at[batch])];
    size_t offset = 0;
    for (size_t axis = 0; axis <= last; ++axis) {
      int64_t index = axis == sequence && at[axis] < length ? length - 1 - at[axis] : at[axis];
      offset += static_cast<size_t>(index) * strides[axis];
    }
    std::memcpy(to, data.data() + offset * bytes, run);
    to += run;
  }
  context.outputs[0] = packed_as(out, context.inputs[0].type());
}

void infer_reverse_sequence(Node& node) {
  require_integers(node, 1);
  require_rank(node, 1, 1);
  infer_same(node);
}

void evaluate_roll(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  std::vector<int64_t> shifts = integers(context, 1), axes = integers(context, 2);
  if (shifts.size() == 1) shifts.resize(axes.size(), shifts[0]);
  if (shifts.size() != axes.size()) fail(ErrorKind::corrupt, "{} shifts for {} axes", shifts.size(), axes.size());
  std::vector<AxisMap> maps = identity_maps(data.shape());
  for (size_t i = 0; i < axes.size(); ++i) {
    AxisMap& map = maps[normalize_axis(axes[i], data.rank())];
    if (map.empty()) continue;
    auto length = static_cast<int64_t>(map.size());
    int64_t shift = (shifts[i] % length + length) % length;  // an axis may be named again: shifts add up
    std::rotate(map.begin(), map.end() - shift, map.end());
  }
  context.outputs[0] = packed_as(remap_axes(data, maps), context.inputs[0].type());
}

void infer_roll(Node& node) {
  require_integers(node, 1);
  require_integers(node, 2);
  infer_same(node);
}

// DepthToSpace and SpaceToDepth: [N, C, D1..Dk] with blocks of `block` elements per spatial axis.

int64_t block_size(const Node& node) {
  int64_t block = node.attributes().get_int("block_size", 1);
  if (block < 1 || block > 65536) fail(ErrorKind::corrupt, "block_size should be in [1, 65536], not {}", block);
  return block;
}

bool depth_first(const Node& node) {
  if (node.attributes().equals("mode", "depth_first", "")) return true;
  if (node.attributes().equals("mode", "blocks_first", "")) return false;
  fail(ErrorKind::corrupt, "mode '{}' is neither blocks_first nor depth_first", node.attributes().get_string("mode"));
}

int64_t divide_dim(int64_t dim, int64_t by) {
  if (dim == kDynamic) return kDynamic;
  if (dim % by != 0) fail(ErrorKind::corrupt, "a dimension of {} cannot be divided by {}", dim, by);
  return dim / by;
}

int64_t block_volume(int64_t block, size_t spatial) {
  int64_t volume = 1;
  for (size_t i = 0; i < spatial; ++i) volume = multiply_dims(volume, block);
  return volume;
}

void require_image(const PartialShape& shape) {
  if (shape.rank() < 3) fail(ErrorKind::corrupt, "shape [{}] has no spatial dimensions", to_string(shape));
}

PartialShape depth_to_space_shape(PartialShape shape, int64_t block) {
  if (!shape.rank_is_known()) return shape;
  require_image(shape);
  shape[1] = divide_dim(shape[1], block_volume(block, shape.rank() - 2));
  for (size_t i = 2; i < shape.rank(); ++i) shape[i] = multiply_dims(shape[i], block);
  return shape;
}

PartialShape space_to_depth_shape(PartialShape shape, int64_t block) {
  if (!shape.rank_is_known()) return shape;
  require_image(shape);
  shape[1] = multiply_dims(shape[1], block_volume(block, shape.rank() - 2));
  for (size_t i = 2; i < shape.rank(); ++i) shape[i] = divide_dim(shape[i], block);
  return shape;
}

void infer_depth_to_space(Node& node) {
  depth_first(node);
  set_output(node, 0, node.input(0).type(), depth_to_space_shape(node.input(0).shape(), block_size(node)));
}

void infer_space_to_depth(Node& node) {
  depth_first(node);
  set_output(node, 0, node.input(0).type(), space_to_depth_shape(node.input(0).shape(), block_size(node)));
}

void evaluate_depth_to_space(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  const Shape& shape = data.shape();
  int64_t block = block_size(context.node);
  Shape result = depth_to_space_shape(shape, block).dims();
  size_t spatial = shape.size() - 2;
  bool channels_first = depth_first(context.node);
  Shape parts{shape[0]};
  if (channels_first) parts.push_back(result[1]);
  parts.insert(parts.end(), spatial, block);
  if (!channels_first) parts.push_back(result[1]);
  parts.insert(parts.end(), shape.begin() + 2, shape.end());
  size_t blocks = channels_first ? 2 : 1;  // where the block axes start
  std::vector<size_t> order{0, channels_first ? 1 : 1 + spatial};
  for (size_t i = 0; i < spatial; ++i) order.insert(order.end(), {2 + spatial + i, blocks + i});
  context.outputs[0] = packed_as(permute_axes(data.reshaped(parts), order).reshaped(result), context.inputs[0].type());
}

void evaluate_space_to_depth(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  const Shape& shape = data.shape();
  int64_t block = block_size(context.node);
  Shape result = space_to_depth_shape(shape, block).dims();
  size_t spatial = shape.size() - 2;
  Shape parts{shape[0], shape[1]};
  for (size_t i = 0; i < spatial; ++i) parts.insert(parts.end(), {result[2 + i], block});
  std::vector<size_t> order{0};
  if (depth_first(context.node)) order.push_back(1);
  for (size_t i = 0; i < spatial; ++i) order.push_back(3 + 2 * i);
  if (!depth_first(context.node)) order.push_back(1);
  for (size_t i = 0; i < spatial; ++i) order.push_back(2 + 2 * i);
  context.outputs[0] = packed_as(permute_axes(data.reshaped(parts), order).reshaped(result), context.inputs[0].type());
}

void evaluate_shuffle_channels(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  size_t axis = normalize_axis(context.node.attributes().get_int("axis", 1), data.rank());
  int64_t group = context.node.attributes().get_int("group", 1);
  if (group < 1) fail(ErrorKind::corrupt, "group should be positive, not {}", group);
  AxisView view(data.shape(), axis);
  int64_t per_group = divide_dim(data.shape()[axis], group);
  Shape parts{static_cast<int64_t>(view.outer), group, per_group, static_cast<int64_t>(view.inner)};
  std::vector<size_t> order{0, 2, 1, 3};
  context.outputs[0] = packed_as(permute_axes(data.reshaped(parts), order).reshaped(data.shape()), context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> rearrangement_ops() {
  static const std::vector<OpDef> ops{
      {"Reverse", {"opset1"}, 2, 2, 1, infer_reverse, evaluate_reverse},
      {"ReverseSequence", {"opset1"}, 2, 2, 1, infer_reverse_sequence, evaluate_reverse_sequence},
      {"Roll", {"opset7"}, 3, 3, 1, infer_roll, evaluate_roll},
      {"DepthToSpace", {"opset1"}, 1, 1, 1, infer_depth_to_space, evaluate_depth_to_space},
      {"SpaceToDepth", {"opset1"}, 1, 1, 1, infer_space_to_depth, evaluate_space_to_depth},
      {"ShuffleChannels", {"opset1"}, 1, 1, 1, infer_same, evaluate_shuffle_channels},
  };
  return ops;
}

}  // namespace nibble
