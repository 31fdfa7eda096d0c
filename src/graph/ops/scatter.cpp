#include <algorithm>
#include <array>
#include <cstring>

#include "base/fail.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

enum class Reduction { none, sum, sub, prod, min, max, mean };

Reduction reduction_of(const Node& node) {
  constexpr std::array<std::pair<std::string_view, Reduction>, 7> kNames{{{"none", Reduction::none},
                                                                          {"sum", Reduction::sum},
                                                                          {"sub", Reduction::sub},
                                                                          {"prod", Reduction::prod},
                                                                          {"min", Reduction::min},
                                                                          {"max", Reduction::max},
                                                                          {"mean", Reduction::mean}}};
  for (const auto& [name, reduction] : kNames)
    if (node.attributes().equals("reduction", name, "none")) return reduction;
  fail(ErrorKind::unsupported, "reduction '{}' is not supported", node.attributes().get_string("reduction"));
}

template <class T>
T combine(Reduction reduction, T old, T update) {
  // Integers wrap, which only unsigned arithmetic may do.
  using U = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
  switch (reduction) {
    case Reduction::none: return update;
    case Reduction::mean:
    case Reduction::sum: return static_cast<T>(static_cast<U>(old) + static_cast<U>(update));
    case Reduction::sub: return static_cast<T>(static_cast<U>(old) - static_cast<U>(update));
    case Reduction::prod: return static_cast<T>(static_cast<U>(old) * static_cast<U>(update));
    case Reduction::min: return std::min(old, update);
    case Reduction::max: return std::max(old, update);
  }
  return update;
}

/// Where the updates go: run i of `run` elements of the updates belongs to elements [targets[i], targets[i] + run) of the data.
struct Targets {
  std::vector<size_t> starts;
  size_t run = 1;
};

Tensor overwrite(const Tensor& data, const Tensor& updates, const Targets& targets) {
  Tensor from = whole_bytes(updates);
  Tensor out = whole_bytes(data).clone();
  size_t bytes = element_bytes(out);
  for (size_t i = 0; i < targets.starts.size(); ++i)
    std::memcpy(out.mutable_data() + targets.starts[i] * bytes, from.data() + i * targets.run * bytes, targets.run * bytes);
  return packed_as(out, data.type());
}

template <class T>
Tensor accumulate(const Tensor& data, const Tensor& updates, const Targets& targets, Reduction reduction, bool use_initial) {
  Tensor from = to_compute<T>(updates);
  Tensor out = to_compute<T>(data).clone();
  auto values = out.as_mutable<T>();
  auto update = from.as<T>();
  std::vector<size_t> counts(values.size(), use_initial ? 1 : 0);
  for (size_t i = 0; i < update.size(); ++i) {
    size_t at = targets.starts[i / targets.run] + i % targets.run;
    values[at] = counts[at]++ == 0 ? update[i] : combine(reduction, values[at], update[i]);
  }
  if (reduction == Reduction::mean)
    for (size_t i = 0; i < values.size(); ++i)
      if (counts[i] > 1) values[i] /= static_cast<T>(counts[i]);
  return convert(out, data.type());
}

Tensor scatter(const EvalContext& context, const Tensor& updates, const Targets& targets) {
  const Tensor& data = context.inputs[0];
  Reduction reduction = reduction_of(context.node);
  if (updates.type() != data.type())
    fail(ErrorKind::corrupt, "updates of type {} for data of type {}", to_string(updates.type()), to_string(data.type()));
  if (updates.size() != targets.starts.size() * targets.run)
    fail(ErrorKind::corrupt, "updates of shape {} do not fit the indices", to_string(updates.shape()));
  if (reduction == Reduction::none) return overwrite(data, updates, targets);
  bool use_initial = context.node.attributes().get_bool("use_init_val", true);
  Tensor out;
  with_compute_type(data.type(), [&](auto zero) { out = accumulate<decltype(zero)>(data, updates, targets, reduction, use_initial); });
  return out;
}

void infer_scatter(Node& node) {
  require_integers(node, 1);
  set_output(node, 0, merge_types(node.input(0).type(), node.input(2).type()), node.input(0).shape());
}

void require_shape(const Tensor& updates, const Shape& expected) {
  if (updates.shape() != expected)
    fail(ErrorKind::corrupt, "updates of shape {} should have shape {}", to_string(updates.shape()), to_string(expected));
}

Shape tail(const Shape& shape, size_t from) { return Shape(shape.begin() + static_cast<std::ptrdiff_t>(from), shape.end()); }

/// data with slices along an axis replaced: updates are data[:axis] + indices + data[axis+1:].
void infer_scatter_update(Node& node) {
  infer_scatter(node);
  require_integers(node, 3);
  auto axis = known_scalar(node.input(3));
  const PartialShape& data = node.input(0).shape();
  if (axis && data.rank_is_known()) normalize_axis(*axis, data.rank());
}

void evaluate_scatter_update(EvalContext& context) {
  const Tensor &data = context.inputs[0], &indices = context.inputs[1], &updates = context.inputs[2];
  size_t axis = normalize_axis(scalar_integer(context, 3), data.rank());
  Shape expected(data.shape().begin(), data.shape().begin() + static_cast<std::ptrdiff_t>(axis));
  Shape behind = tail(data.shape(), axis + 1);
  expected.insert(expected.end(), indices.shape().begin(), indices.shape().end());
  expected.insert(expected.end(), behind.begin(), behind.end());
  require_shape(updates, expected);
  AxisView view(data.shape(), axis);
  Targets targets{{}, view.inner};
  std::vector<int64_t> at = integers(context, 1);
  for (int64_t& index : at) index = normalize_index(index, data.shape()[axis]);
  for (size_t outer = 0; updates.size() > 0 && outer < view.outer; ++outer)
    for (int64_t index : at) targets.starts.push_back((outer * view.size + static_cast<size_t>(index)) * view.inner);
  context.outputs[0] = scatter(context, updates, targets);
}

void infer_scatter_nd_update(Node& node) {
  infer_scatter(node);
  reduction_of(node);
  const PartialShape &data = node.input(0).shape(), &indices = node.input(1).shape();
  if (!indices.rank_is_known()) return;
  if (indices.rank() == 0) fail(ErrorKind::corrupt, "indices should not be a scalar");
  if (data.rank_is_known() && indices.dims().back() > static_cast<int64_t>(data.rank()))
    fail(ErrorKind::corrupt, "tuples of {} indices for data [{}]", indices.dims().back(), to_string(data));
}

void evaluate_scatter_nd_update(EvalContext& context) {
  const Tensor &data = context.inputs[0], &updates = context.inputs[2];
  const Shape& index_shape = context.inputs[1].shape();
  if (index_shape.empty()) fail(ErrorKind::corrupt, "indices should not be a scalar");
  auto tuple = static_cast<size_t>(index_shape.back());
  if (tuple > data.rank()) fail(ErrorKind::corrupt, "tuples of {} indices for data {}", tuple, to_string(data.shape()));
  Shape expected(index_shape.begin(), index_shape.end() - 1), behind = tail(data.shape(), tuple);
  expected.insert(expected.end(), behind.begin(), behind.end());
  require_shape(updates, expected);
  Targets targets{{}, element_count(behind)};
  std::vector<int64_t> indices = integers(context, 1);
  std::vector<size_t> strides = dense_strides(data.shape());
  size_t runs = updates.size() == 0 ? 0 : updates.size() / targets.run;
  for (size_t i = 0; i < runs; ++i) {
    size_t start = 0;
    for (size_t k = 0; k < tuple; ++k) start += static_cast<size_t>(normalize_index(indices[i * tuple + k], data.shape()[k])) * strides[k];
    targets.starts.push_back(start);
  }
  context.outputs[0] = scatter(context, updates, targets);
}

void infer_scatter_elements(Node& node) {
  infer_scatter_update(node);
  reduction_of(node);
  merge_shapes(node.input(1).shape(), node.input(2).shape());
}

/// data[.., indices[i,j,..], ..] = updates[i,j,..]: indices may be smaller than the data in every dimension.
void evaluate_scatter_elements(EvalContext& context) {
  const Tensor &data = context.inputs[0], &updates = context.inputs[2];
  const Shape& shape = context.inputs[1].shape();
  size_t axis = normalize_axis(scalar_integer(context, 3), data.rank());
  require_shape(updates, shape);
  if (shape.size() != data.rank()) fail(ErrorKind::corrupt, "indices {} for data {}", to_string(shape), to_string(data.shape()));
  for (size_t i = 0; i < shape.size(); ++i)
    if (i != axis && shape[i] > data.shape()[i])
      fail(ErrorKind::corrupt, "indices {} are larger than data {}", to_string(shape), to_string(data.shape()));
  std::vector<size_t> strides = dense_strides(data.shape());
  Targets targets;
  Odometer at(shape);
  for (int64_t index : integers(context, 1)) {
    size_t start = static_cast<size_t>(normalize_index(index, data.shape()[axis])) * strides[axis];
    for (size_t i = 0; i < shape.size(); ++i)
      if (i != axis) start += static_cast<size_t>(at[i]) * strides[i];
    targets.starts.push_back(start);
    at.next();
  }
  context.outputs[0] = scatter(context, updates, targets);
}

}  // namespace

std::span<const OpDef> scatter_ops() {
  static const std::vector<OpDef> ops{
      {"ScatterUpdate", {"opset3"}, 4, 4, 1, infer_scatter_update, evaluate_scatter_update},
      {"ScatterNDUpdate", {"opset3", "opset4", "opset15"}, 3, 3, 1, infer_scatter_nd_update, evaluate_scatter_nd_update},
      {"ScatterElementsUpdate", {"opset3", "opset12"}, 4, 4, 1, infer_scatter_elements, evaluate_scatter_elements},
  };
  return ops;
}

}  // namespace nibble
