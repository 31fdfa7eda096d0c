#include <cstring>

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

Shape concatenated(std::initializer_list<std::span<const int64_t>> parts) {
  Shape dims;
  for (auto part : parts) dims.insert(dims.end(), part.begin(), part.end());
  return dims;
}

/// batch_dims as a number of leading dimensions that data and indices share.
size_t batch_dims(const Node& node, size_t data_rank, size_t indices_rank) {
  int64_t value = node.attributes().get_int("batch_dims", 0);
  if (value < 0) value += static_cast<int64_t>(indices_rank);
  if (value < 0 || value > static_cast<int64_t>(std::min(data_rank, indices_rank)))
    fail(ErrorKind::corrupt, "batch_dims {} does not fit data of rank {} and indices of rank {}", value, data_rank, indices_rank);
  return static_cast<size_t>(value);
}

PartialShape gather_shape(const PartialShape& data, const PartialShape& indices, size_t axis, size_t batch) {
  if (batch > axis) fail(ErrorKind::corrupt, "batch_dims {} is beyond axis {}", batch, axis);
  std::span<const int64_t> from(data.dims()), index(indices.dims());
  Shape dims = concatenated({from.first(axis), index.subspan(batch), from.subspan(axis + 1)});
  for (size_t i = 0; i < batch; ++i) dims[i] = merge_dims(data[i], indices[i]);
  return dims;
}

void infer_gather(Node& node) {
  require_integers(node, 1);
  require_integers(node, 2);
  const PartialShape &data = node.input(0).shape(), &indices = node.input(1).shape();
  auto axis = known_scalar(node.input(2));
  PartialShape shape;
  if (data.rank_is_known() && indices.rank_is_known()) {
    if (data.rank() == 0) fail(ErrorKind::corrupt, "nothing can be gathered from a scalar");
    size_t batch = batch_dims(node, data.rank(), indices.rank());
    shape = axis ? gather_shape(data, indices, normalize_axis(*axis, data.rank()), batch)
                 : PartialShape::of_rank(data.rank() + indices.rank() - 1 - batch);
  }
  set_output(node, 0, node.input(0).type(), shape);
}

std::vector<int64_t> normalized(std::vector<int64_t> indices, int64_t length) {
  for (int64_t& index : indices) index = normalize_index(index, length);
  return indices;
}

/// Gather with leading dimensions joined: data [batch, outer, length, run], indices [batch, count].
struct GatherPlan {
  size_t batch, outer, length, count, run_bytes;
};

void gather_runs(const GatherPlan& plan, const std::byte* data, const std::vector<int64_t>& indices, std::byte* to) {
  for (size_t block = 0; block < plan.batch * plan.outer; ++block) {
    const std::byte* from = data + block * plan.length * plan.run_bytes;
    const int64_t* index = indices.data() + block / plan.outer * plan.count;
    for (size_t i = 0; i < plan.count; ++i, to += plan.run_bytes)
      std::memcpy(to, from + static_cast<size_t>(index[i]) * plan.run_bytes, plan.run_bytes);
  }
}

void evaluate_gather(EvalContext& context) {
  ElementType type = context.inputs[0].type();
  Tensor data = context.inputs[0];
  const Shape &from = data.shape(), &index_shape = context.inputs[1].shape();
  size_t axis = normalize_axis(scalar_integer(context, 2), from.size());
  size_t batch = batch_dims(context.node, from.size(), index_shape.size());
  Shape shape = gather_shape(from, index_shape, axis, batch).dims();
  std::vector<int64_t> indices = normalized(integers(context, 1), from[axis]);

  AxisView view(from, axis);
  // Rows of packed types that end on bytes are copied packed; anything else goes through one byte per element.
  if (run_bytes(type, view.inner) == 0) data = whole_bytes(data);
  Tensor out = make_output(data.type(), shape);
  if (out.size() > 0) {
    size_t batches = element_count(Shape(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(batch)));
    gather_runs({batches, view.outer / batches, view.size, indices.size() / batches, run_bytes(data.type(), view.inner)}, data.data(),
                indices, out.mutable_data());
  }
  context.outputs[0] = packed_as(out, type);
}

int64_t elements_axis(const Node& node) { return node.attributes().get_int("axis", 0); }

/// data and indices may differ along the axis only.
PartialShape gather_elements_shape(const PartialShape& data, const PartialShape& indices, int64_t axis) {
  if (!data.rank_is_known() || !indices.rank_is_known()) return indices;
  PartialShape expected = data;
  size_t at = normalize_axis(axis, data.rank());
  expected[at] = kDynamic;
  return merge_shapes(indices, expected);
}

void infer_gather_elements(Node& node) {
  require_integers(node, 1);
  set_output(node, 0, node.input(0).type(), gather_elements_shape(node.input(0).shape(), node.input(1).shape(), elements_axis(node)));
}

void evaluate_gather_elements(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  Shape shape = gather_elements_shape(data.shape(), context.inputs[1].shape(), elements_axis(context.node)).dims();
  size_t axis = normalize_axis(elements_axis(context.node), shape.size());
  std::vector<int64_t> indices = normalized(integers(context, 1), data.shape()[axis]);
  AxisView view(shape, axis);
  auto length = static_cast<size_t>(data.shape()[axis]);
  size_t bytes = element_bytes(data);
  Tensor out = make_output(data.type(), shape);
  std::byte* to = out.mutable_data();
  for (size_t i = 0; i < indices.size(); ++i) {
    size_t outer = i / view.inner / view.size, inner = i % view.inner;
    size_t from = (outer * length + static_cast<size_t>(indices[i])) * view.inner + inner;
    copy_element(to + i * bytes, data.data() + from * bytes, bytes);
  }
  context.outputs[0] = packed_as(out, context.inputs[0].type());
}

/// opset5 joins the batch dimensions into one, opset8 keeps them.
PartialShape gather_nd_shape(const Node& node, const PartialShape& data, const PartialShape& indices) {
  if (!data.rank_is_known() || !indices.rank_is_known()) return {};
  if (indices.rank() == 0) fail(ErrorKind::corrupt, "indices should not be a scalar");
  size_t batch = batch_dims(node, data.rank(), indices.rank() - 1);
  int64_t tuple = indices.dims().back();
  if (tuple == kDynamic) return {};
  if (tuple < 0 || static_cast<size_t>(tuple) > data.rank() - batch)
    fail(ErrorKind::corrupt, "tuples of {} indices for data [{}] with {} batch dimensions", tuple, to_string(data), batch);
  Shape leading;
  for (size_t i = 0; i < batch; ++i) leading.push_back(merge_dims(data[i], indices[i]));
  if (node.opset() == "opset5" && batch > 1) leading = {multiply_dims(leading, 0, batch)};
  std::span<const int64_t> from(data.dims()), index(indices.dims());
  return concatenated({leading, index.subspan(batch, indices.rank() - 1 - batch), from.subspan(batch + static_cast<size_t>(tuple))});
}

void infer_gather_nd(Node& node) {
  require_integers(node, 1);
  set_output(node, 0, node.input(0).type(), gather_nd_shape(node, node.input(0).shape(), node.input(1).shape()));
}

void evaluate_gather_nd(EvalContext& context) {
  Tensor data = whole_bytes(context.inputs[0]);
  const Shape &from = data.shape(), &index_shape = context.inputs[1].shape();
  Tensor out = make_output(data.type(), gather_nd_shape(context.node, from, index_shape).dims());
  size_t batch = batch_dims(context.node, from.size(), index_shape.size() - 1);
  auto tuple = static_cast<size_t>(index_shape.back());
  std::vector<int64_t> indices = integers(context, 1);
  std::vector<size_t> strides = dense_strides(from);
  std::span<const int64_t> dims(from);
  size_t run = element_bytes(data) * element_count(Shape(dims.begin() + static_cast<std::ptrdiff_t>(batch + tuple), dims.end()));
  size_t runs = run == 0 ? 0 : out.byte_size() / run;
  size_t batches = element_count(Shape(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(batch)));
  size_t batch_stride = batch == 0 ? 0 : strides[batch - 1];
  for (size_t i = 0; i < runs; ++i) {
    size_t at = i / (runs / batches) * batch_stride;
    for (size_t k = 0; k < tuple; ++k)
      at += static_cast<size_t>(normalize_index(indices[i * tuple + k], dims[batch + k])) * strides[batch + k];
    std::memcpy(out.mutable_data() + i * run, data.data() + at * element_bytes(data), run);
  }
  context.outputs[0] = packed_as(out, context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> gather_ops() {
  static const std::vector<OpDef> ops{
      {"Gather", {"opset1", "opset7", "opset8"}, 3, 3, 1, infer_gather, evaluate_gather},
      {"GatherElements", {"opset6"}, 2, 2, 1, infer_gather_elements, evaluate_gather_elements},
      {"GatherND", {"opset5", "opset8"}, 2, 2, 1, infer_gather_nd, evaluate_gather_nd},
  };
  return ops;
}

}  // namespace nibble
