#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

enum class Mode { constant, edge, reflect, symmetric };

Mode pad_mode(const Node& node) {
  const Attributes& attributes = node.attributes();
  if (attributes.equals("pad_mode", "constant", "constant")) return Mode::constant;
  if (attributes.equals("pad_mode", "edge", "constant")) return Mode::edge;
  if (attributes.equals("pad_mode", "reflect", "constant")) return Mode::reflect;
  if (attributes.equals("pad_mode", "symmetric", "constant")) return Mode::symmetric;
  fail(ErrorKind::unsupported, "pad_mode '{}' is not supported", attributes.get_string("pad_mode"));
}

/// Negative pads crop.
int64_t padded_dim(int64_t dim, int64_t begin, int64_t end) {
  constexpr int64_t kLimit = std::numeric_limits<int64_t>::max() / 4;
  if (std::max({dim, begin, end}) > kLimit || std::min(begin, end) < -kLimit)
    fail(ErrorKind::corrupt, "pads {} and {} of a dimension of {} are too large", begin, end, dim);
  if (dim + begin + end < 0) fail(ErrorKind::corrupt, "pads {} and {} leave nothing of a dimension of {}", begin, end, dim);
  return dim + begin + end;
}

void infer_pad(Node& node) {
  require_integers(node, 1);
  require_integers(node, 2);
  pad_mode(node);
  ElementType type = node.input_count() > 3 ? merge_types(node.input(0).type(), node.input(3).type()) : node.input(0).type();
  PartialShape shape = node.input(0).shape();
  auto begin = partial_integers(node.input(1)), end = partial_integers(node.input(2));
  if (shape.rank_is_known() && ((begin && begin->size() != shape.rank()) || (end && end->size() != shape.rank())))
    fail(ErrorKind::corrupt, "there should be {} pads, one per dimension of [{}]", shape.rank(), to_string(shape));
  for (size_t i = 0; shape.rank_is_known() && i < shape.rank(); ++i) {
    bool known = begin && end && (*begin)[i].is_known() && (*end)[i].is_known() && shape[i] != kDynamic;
    shape[i] = known ? padded_dim(shape[i], (*begin)[i].value, (*end)[i].value) : kDynamic;
  }
  set_output(node, 0, type, shape);
}

/// Where index i of the data's axis, outside of it too, takes its value.
int64_t source_index(Mode mode, int64_t i, int64_t length) {
  if (i >= 0 && i < length) return i;
  switch (mode) {
    case Mode::constant: return kFill;
    case Mode::edge: return std::clamp<int64_t>(i, 0, length - 1);
    case Mode::reflect: return i < 0 ? -i : 2 * (length - 1) - i;
    case Mode::symmetric: return i < 0 ? -i - 1 : 2 * length - 1 - i;
  }
  return kFill;
}

void require_mirror(Mode mode, int64_t begin, int64_t end, int64_t length) {
  int64_t most = std::max(begin, end);
  int64_t limit = mode == Mode::reflect ? length - 1 : mode == Mode::symmetric ? length : std::numeric_limits<int64_t>::max();
  if (mode == Mode::edge && length == 0 && most > 0) limit = 0;
  if (most > limit && most > 0) fail(ErrorKind::invalid_argument, "a pad of {} cannot be mirrored from {} elements", most, length);
}

void evaluate_pad(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  std::vector<int64_t> begin = integers(context, 1), end = integers(context, 2);
  if (begin.size() != data.rank() || end.size() != data.rank())
    fail(ErrorKind::corrupt, "there should be {} pads, one per dimension of {}", data.rank(), to_string(data.shape()));
  Mode mode = pad_mode(context.node);
  Tensor fill;
  if (context.inputs.size() > 3) {
    fill = whole_bytes(context.inputs[3]);
    if (fill.size() != 1 || fill.type() != data.type()) fail(ErrorKind::corrupt, "the pad value should be one {}", to_string(data.type()));
  }
  Shape shape;
  for (size_t axis = 0; axis < data.rank(); ++axis) shape.push_back(padded_dim(data.shape()[axis], begin[axis], end[axis]));
  std::vector<AxisMap> maps;
  for (size_t axis = 0; axis < data.rank(); ++axis) {
    int64_t length = data.shape()[axis];
    require_mirror(mode, begin[axis], end[axis], length);
    maps.push_back(make_map(shape[axis]));
    for (int64_t i = 0; i < shape[axis]; ++i) maps.back()[static_cast<size_t>(i)] = source_index(mode, i - begin[axis], length);
  }
  Tensor out = remap_axes(data, maps, fill ? fill.bytes() : std::span<const std::byte>());
  context.outputs[0] = packed_as(out, context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> pad_ops() {
  static const std::vector<OpDef> ops{
      {"Pad", {"opset1", "opset12"}, 3, 4, 1, infer_pad, evaluate_pad},
  };
  return ops;
}

}  // namespace nibble
