#include <cmath>
#include <cstring>

#include "base/fail.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Range, Eye, OneHot and NonZero: results whose size depends on values.

/// opset1's Range has the type of its inputs.
ElementType range_type(const Node& node, ElementType input) {
  return node.opset() == "opset1" ? input : node.attributes().get_type("output_type", input);
}

/// Number of integers from `start` until before `stop`; -1 beyond 2^63.
int64_t count_steps(int64_t start, int64_t stop, int64_t step) {
  if (step == 0) fail(ErrorKind::invalid_argument, "a Range needs a step other than 0");
  if (step > 0 ? start >= stop : start <= stop) return 0;
  // Unsigned differences cannot overflow: the distance of two int64 fits.
  uint64_t distance =
      step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
  uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  uint64_t count = (distance - 1) / stride + 1;
  if (count > uint64_t{INT64_MAX}) fail(ErrorKind::exhausted, "a Range of {} elements is too long", count);
  return static_cast<int64_t>(count);
}

int64_t count_steps(double start, double stop, double step) {
  double count = std::ceil((stop - start) / step);
  if (!std::isfinite(count)) fail(ErrorKind::invalid_argument, "a Range from {} to {} by {} has no length", start, stop, step);
  if (count > 0x1p62) fail(ErrorKind::exhausted, "a Range of {} elements is too long", count);
  return count > 0 ? static_cast<int64_t>(count) : 0;
}

void infer_range(Node& node) {
  // Since opset4 the inputs may have different types: exporters count from an i64 by an i32.
  bool one_type = node.opset() == "opset1";
  ElementType type = range_type(node, one_type ? merge_types(node.input(0).type(), node.input(2).type()) : node.input(0).type());
  int64_t count = kDynamic;
  auto start = known_scalar(node.input(0)), stop = known_scalar(node.input(1)), step = known_scalar(node.input(2));
  if (start && stop && step && is_integer(type)) count = count_steps(*start, *stop, *step);
  set_output(node, 0, type, PartialShape{count});
}

template <class T>
T scalar_of(const EvalContext& context, size_t input) {
  Tensor value = to_compute<T>(context.inputs[input]);
  if (value.size() != 1) fail(ErrorKind::corrupt, "input {} should be one number, not of shape {}", input, to_string(value.shape()));
  return value.as<T>().front();
}

template <class T>
Tensor make_range(const EvalContext& context) {
  T start = scalar_of<T>(context, 0), stop = scalar_of<T>(context, 1), step = scalar_of<T>(context, 2);
  Tensor out = make_output(element_type_of<T>::value, {count_steps(start, stop, step)});
  auto values = out.as_mutable<T>();
  for (size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_integral_v<T>)  // unsigned, because i * step may wrap where the sum does not
      values[i] = static_cast<T>(static_cast<uint64_t>(start) + i * static_cast<uint64_t>(step));
    else
      values[i] = start + static_cast<T>(i) * step;
  }
  return out;
}

void evaluate_range(EvalContext& context) {
  ElementType type = range_type(context.node, context.inputs[0].type());
  Tensor values = type == ElementType::f64 ? make_range<double>(context)
                  : is_float(type)         ? make_range<float>(context)
                                           : make_range<int64_t>(context);
  context.outputs[0] = convert(values, type);
}

Shape eye_shape(int64_t rows, int64_t columns, Shape batch) {
  batch.insert(batch.end(), {rows, columns});
  return batch;
}

int64_t known_dim(Value value) {
  auto values = partial_integers(value);
  return values && values->size() == 1 ? to_dim(values->front()) : kDynamic;
}

void infer_eye(Node& node) {
  for (size_t i = 0; i < node.input_count(); ++i) require_integers(node, i);
  ElementType type = node.attributes().get_type("output_type", ElementType::f32);
  int64_t rows = known_dim(node.input(0)), columns = known_dim(node.input(1));
  if (node.input_count() < 4) return set_output(node, 0, type, PartialShape{rows, columns});
  auto batch = partial_integers(node.input(3));
  set_output(node, 0, type, batch ? PartialShape(eye_shape(rows, columns, to_dims(*batch))) : PartialShape());
}

void evaluate_eye(EvalContext& context) {
  int64_t rows = scalar_integer(context, 0), columns = scalar_integer(context, 1), diagonal = scalar_integer(context, 2);
  Shape batch = context.inputs.size() > 3 ? integers(context, 3) : Shape{};
  Tensor out = make_output(ElementType::f32, eye_shape(rows, columns, batch));
  auto values = out.as_mutable<float>();
  size_t area = values.empty() ? 1 : static_cast<size_t>(rows * columns);
  for (size_t first = 0; first < values.size(); first += area)
    for (int64_t row = 0; row < rows; ++row)
      if (diagonal > -rows && diagonal < columns && row + diagonal >= 0 && row + diagonal < columns)
        values[first + static_cast<size_t>(row * columns + row + diagonal)] = 1;
  context.outputs[0] = convert(out, context.node.attributes().get_type("output_type", ElementType::f32));
}

PartialShape one_hot_shape(const PartialShape& indices, int64_t depth, int64_t axis) {
  if (!indices.rank_is_known()) return {};
  Shape dims = indices.dims();
  auto at = normalize_axis(axis, dims.size() + 1);
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(at), depth);
  return dims;
}

int64_t one_hot_axis(const Node& node) { return node.attributes().get_int("axis", -1); }

void infer_one_hot(Node& node) {
  require_integers(node, 0);
  require_integers(node, 1);
  ElementType type = merge_types(node.input(2).type(), node.input(3).type());
  set_output(node, 0, type, one_hot_shape(node.input(0).shape(), known_dim(node.input(1)), one_hot_axis(node)));
}

void evaluate_one_hot(EvalContext& context) {
  std::vector<int64_t> indices = integers(context, 0);
  int64_t depth = scalar_integer(context, 1);
  const Tensor &on = context.inputs[2], &off = context.inputs[3];
  if (on.size() != 1 || off.size() != 1) fail(ErrorKind::corrupt, "on_value and off_value should be scalars");
  size_t bytes = element_bytes(off);
  Shape shape = one_hot_shape(context.inputs[0].shape(), depth, one_hot_axis(context.node)).dims();
  Tensor out = make_output(off.type(), shape);
  bool normalize = context.node.attributes().equals("negative_indices_mode", "normalize", "ignore_negative");
  AxisView view(shape, normalize_axis(one_hot_axis(context.node), shape.size()));
  std::byte* to = out.mutable_data();
  for (size_t i = 0; i < out.size(); ++i) copy_element(to + i * bytes, off.data(), bytes);
  if (out.size() == 0) depth = 0;
  for (size_t i = 0; i < indices.size(); ++i) {
    int64_t index = normalize && indices[i] < 0 ? indices[i] + depth : indices[i];
    if (index < 0 || index >= depth) continue;  // a row of off_value
    size_t place = (i / view.inner * view.size + static_cast<size_t>(index)) * view.inner + i % view.inner;
    copy_element(to + place * bytes, on.data(), bytes);
  }
  context.outputs[0] = std::move(out);
}

ElementType non_zero_type(const Node& node) { return node.attributes().get_type("output_type", ElementType::i64); }

void infer_non_zero(Node& node) {
  const PartialShape& data = node.input(0).shape();
  int64_t rank = data.rank_is_known() ? static_cast<int64_t>(data.rank()) : kDynamic;
  set_output(node, 0, non_zero_type(node), PartialShape{rank, kDynamic});
}

void evaluate_non_zero(EvalContext& context) {
  Tensor flags = convert(context.inputs[0], ElementType::boolean);
  std::vector<std::vector<int64_t>> found(flags.rank());
  int64_t count = 0;
  Odometer at(flags.shape());
  for (std::byte flag : flags.bytes()) {
    if (flag != std::byte{0}) {
      ++count;
      for (size_t axis = 0; axis < found.size(); ++axis) found[axis].push_back(at[axis]);
    }
    at.next();
  }
  Tensor out = make_output(ElementType::i64, {static_cast<int64_t>(found.size()), count});
  auto to = out.as_mutable<int64_t>().begin();
  for (const auto& row : found) to = std::copy(row.begin(), row.end(), to);
  context.outputs[0] = convert(out, non_zero_type(context.node));
}

}  // namespace

std::span<const OpDef> generation_ops() {
  static const std::vector<OpDef> ops{
      {"Range", {"opset1", "opset4"}, 3, 3, 1, infer_range, evaluate_range},
      {"Eye", {"opset9"}, 3, 4, 1, infer_eye, evaluate_eye},
      {"OneHot", {"opset1", "opset16"}, 4, 4, 1, infer_one_hot, evaluate_one_hot},
      {"NonZero", {"opset3"}, 1, 1, 1, infer_non_zero, evaluate_non_zero},
  };
  return ops;
}

}  // namespace nibble
