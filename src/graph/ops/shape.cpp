#include <algorithm>

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

ElementType index_type(const Node& node) {
  ElementType type = node.attributes().get_type("output_type", ElementType::i64);
  if (type != ElementType::i64 && type != ElementType::i32)
    fail(ErrorKind::corrupt, "output_type {} is neither i64 nor i32", to_string(type));
  return type;
}

void infer_shape_of(Node& node) {
  const PartialShape& shape = node.input(0).shape();
  int64_t rank = shape.rank_is_known() ? static_cast<int64_t>(shape.rank()) : kDynamic;
  set_output(node, 0, index_type(node), PartialShape{rank});
}

void evaluate_shape_of(EvalContext& context) {
  const Shape& shape = context.inputs[0].shape();
  Tensor dims = Tensor::from<int64_t>({static_cast<int64_t>(shape.size())}, shape);
  context.outputs[0] = convert(dims, index_type(context.node));
}

/// What the pattern's element `i` makes of the data's shape, the inferred dimension (-1) left open.
int64_t reshape_dim(const PartialShape& data, const PartialInteger& value, size_t i, bool special_zero) {
  if (!value.is_known()) return kDynamic;
  if (value.value < -1) fail(ErrorKind::corrupt, "{} is no dimension to reshape to", value.value);
  if (value.value != 0 || !special_zero) return value.value;
  if (!data.rank_is_known()) return kDynamic;
  if (i >= data.rank()) fail(ErrorKind::corrupt, "dimension {} cannot be copied from shape [{}]", i, to_string(data));
  return data[i];
}

/// Where exactly one dimension is open and all else is known, it is the rest; otherwise it stays dynamic.
void complete_reshape(const PartialShape& data, Shape& dims) {
  int64_t total = data.rank_is_known() ? multiply_dims(data.dims(), 0, data.rank()) : kDynamic;
  auto open = std::count(dims.begin(), dims.end(), kDynamic);
  int64_t rest = 1;
  for (int64_t dim : dims)
    if (dim != kDynamic) rest = multiply_dims(rest, dim);
  if (total == kDynamic || open > 1) return;
  bool fits = open == 0 ? rest == total : rest == 0 ? total == 0 : total % rest == 0;
  if (!fits) fail(ErrorKind::corrupt, "shape [{}] cannot be reshaped to [{}]", to_string(data), to_string(PartialShape(dims)));
  if (open == 1) *std::find(dims.begin(), dims.end(), kDynamic) = rest == 0 ? 0 : total / rest;
}

PartialShape reshape(const PartialShape& data, const PartialIntegers& pattern, bool special_zero) {
  auto is_inferred = [](const PartialInteger& p) { return p.is_known() && p.value == -1; };
  if (std::count_if(pattern.begin(), pattern.end(), is_inferred) > 1) fail(ErrorKind::corrupt, "more than one dimension is -1");
  Shape dims;
  for (size_t i = 0; i < pattern.size(); ++i) dims.push_back(reshape_dim(data, pattern[i], i, special_zero));
  // Dynamic dimensions that are copied divide out: [?,?,128] as [0,0,-1,32] has 4 in the third place.
  PartialShape rest = data;
  std::vector<size_t> copied;
  for (size_t i = 0; special_zero && i < std::min(pattern.size(), data.rank()); ++i)
    if (pattern[i].is_known() && pattern[i].value == 0 && data[i] == kDynamic) copied.push_back(i);
  for (size_t i : copied) rest[i] = dims[i] = 1;
  complete_reshape(rest, dims);
  for (size_t i : copied) dims[i] = kDynamic;
  return dims;
}

bool special_zero(const Node& node) { return node.attributes().get_bool("special_zero", false); }

void infer_reshape(Node& node) {
  require_integers(node, 1);
  require_list(node, 1);
  auto pattern = partial_integers(node.input(1));
  set_output(node, 0, node.input(0).type(), pattern ? reshape(node.input(0).shape(), *pattern, special_zero(node)) : PartialShape());
}

void evaluate_reshape(EvalContext& context) {
  PartialShape shape = reshape(context.inputs[0].shape(), to_partial(integers(context, 1)), special_zero(context.node));
  context.outputs[0] = context.inputs[0].reshaped(shape.dims());
}

/// As OpenVINO does, axes of another size than 1 are left alone; a dynamic one is taken to be 1.
PartialShape squeeze(const PartialShape& data, const std::vector<int64_t>& axes) {
  if (!data.rank_is_known()) return {};
  std::vector<bool> drop(data.rank(), false);
  for (int64_t axis : axes) {
    size_t i = normalize_axis(axis, data.rank());
    drop[i] = data[i] == 1 || data[i] == kDynamic;
  }
  Shape dims;
  for (size_t i = 0; i < data.rank(); ++i)
    if (!drop[i]) dims.push_back(data[i]);
  return dims;
}

PartialShape squeeze_all(const PartialShape& data) {
  const Shape& all = data.dims();
  if (!data.rank_is_known() || std::find(all.begin(), all.end(), kDynamic) != all.end()) return {};
  Shape dims;
  std::copy_if(all.begin(), all.end(), std::back_inserter(dims), [](int64_t dim) { return dim != 1; });
  return dims;
}

/// Whether the result's rank hangs on a dimension that is dynamic (opset15).
bool may_skip(const Node& node, const std::vector<int64_t>& axes) {
  const PartialShape& data = node.input(0).shape();
  if (!node.attributes().get_bool("allow_axis_skip", false) || !data.rank_is_known()) return false;
  return std::any_of(axes.begin(), axes.end(), [&](int64_t axis) { return data[normalize_axis(axis, data.rank())] == kDynamic; });
}

void infer_squeeze(Node& node) {
  const PartialShape& data = node.input(0).shape();
  PartialShape shape;
  if (node.input_count() == 1) {
    shape = squeeze_all(data);
  } else {
    require_integers(node, 1);
    require_list(node, 1);
    auto axes = known_integers(node.input(1));
    if (axes && axes->empty())
      shape = squeeze_all(data);
    else if (axes && !may_skip(node, *axes))
      shape = squeeze(data, *axes);
  }
  set_output(node, 0, node.input(0).type(), shape);
}

void evaluate_squeeze(EvalContext& context) {
  std::vector<int64_t> axes = context.inputs.size() > 1 ? integers(context, 1) : std::vector<int64_t>{};
  PartialShape data = context.inputs[0].shape();
  context.outputs[0] = context.inputs[0].reshaped(axes.empty() ? squeeze_all(data).dims() : squeeze(data, axes).dims());
}

PartialShape unsqueeze(const PartialShape& data, const std::vector<int64_t>& axes) {
  if (!data.rank_is_known()) return {};
  size_t rank = data.rank() + axes.size();
  Shape dims(rank, 0);
  for (size_t axis : normalize_axes(axes, rank)) dims[axis] = 1;
  size_t from = 0;
  for (int64_t& dim : dims)
    if (dim == 0) dim = data[from++];
  return dims;
}

void infer_unsqueeze(Node& node) {
  require_integers(node, 1);
  require_list(node, 1);
  const PartialShape& data = node.input(0).shape();
  auto axes = known_integers(node.input(1));
  int64_t count = list_length(node.input(1).shape());
  PartialShape shape;
  if (axes)
    shape = unsqueeze(data, *axes);
  else if (data.rank_is_known() && count >= 0 && count <= 64)
    shape = PartialShape::of_rank(data.rank() + static_cast<size_t>(count));
  set_output(node, 0, node.input(0).type(), shape);
}

void evaluate_unsqueeze(EvalContext& context) {
  context.outputs[0] = context.inputs[0].reshaped(unsqueeze(context.inputs[0].shape(), integers(context, 1)).dims());
}

}  // namespace

std::span<const OpDef> shape_ops() {
  static const std::vector<OpDef> ops{
      {"ShapeOf", {"opset1", "opset3"}, 1, 1, 1, infer_shape_of, evaluate_shape_of},
      {"Reshape", {"opset1"}, 2, 2, 1, infer_reshape, evaluate_reshape},
      {"Squeeze", {"opset1", "opset15"}, 1, 2, 1, infer_squeeze, evaluate_squeeze},
      {"Unsqueeze", {"opset1"}, 2, 2, 1, infer_unsqueeze, evaluate_unsqueeze},
  };
  return ops;
}

}  // namespace nibble
