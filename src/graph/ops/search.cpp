#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Places of values among sorted ones: Bucketize, SearchSorted and the levels of FakeQuantize.

ElementType place_type(const Node& node) {
  ElementType type = node.attributes().get_type("output_type", ElementType::i64);
  if (type != ElementType::i64 && type != ElementType::i32)
    fail(ErrorKind::corrupt, "output_type {} is neither i64 nor i32", to_string(type));
  return type;
}

/// Numbers before `value` in the sorted `row`; those equal to it count if `after_equal`.
template <class T>
int64_t place_of(std::span<const T> row, T value, bool after_equal) {
  auto place = after_equal ? std::upper_bound(row.begin(), row.end(), value) : std::lower_bound(row.begin(), row.end(), value);
  return place - row.begin();
}

/// Row i of the values is looked up in row i of the sorted numbers, or all in their only row.
template <class T>
Tensor search_rows(const Tensor& sorted, const Tensor& values, size_t rows, bool after_equal) {
  Tensor numbers = to_compute<T>(sorted), wanted = to_compute<T>(values);
  auto from = numbers.as<T>();
  auto value = wanted.as<T>();
  Tensor out = make_output(ElementType::i64, values.shape());
  auto to = out.as_mutable<int64_t>();
  size_t length = rows == 0 ? 0 : from.size() / rows, per_row = rows == 0 ? 0 : value.size() / rows;
  for (size_t i = 0; i < value.size(); ++i) to[i] = place_of(from.subspan(i / per_row * length, length), value[i], after_equal);
  return out;
}

Tensor search(const Tensor& sorted, const Tensor& values, size_t rows, bool after_equal) {
  Tensor out;
  ElementType type = is_float(sorted.type()) == is_float(values.type()) ? values.type() : ElementType::f32;
  with_compute_type(type, [&](auto zero) { out = search_rows<decltype(zero)>(sorted, values, rows, after_equal); });
  return out;
}

void infer_bucketize(Node& node) {
  require_rank(node, 1, 1);
  set_output(node, 0, place_type(node), node.input(0).shape());
}

void evaluate_bucketize(EvalContext& context) {
  bool right_bound = context.node.attributes().get_bool("with_right_bound", true);
  Tensor places = search(context.inputs[1], context.inputs[0], 1, !right_bound);
  context.outputs[0] = convert(places, place_type(context.node));
}

void infer_search_sorted(Node& node) {
  merge_types(node.input(0).type(), node.input(1).type());
  set_output(node, 0, place_type(node), node.input(1).shape());
}

void evaluate_search_sorted(EvalContext& context) {
  const Shape &sorted = context.inputs[0].shape(), &values = context.inputs[1].shape();
  if (sorted.empty()) fail(ErrorKind::corrupt, "the sorted sequence should not be a scalar");
  bool one_row = sorted.size() == 1;
  if (!one_row && (values.size() != sorted.size() || !std::equal(sorted.begin(), sorted.end() - 1, values.begin())))
    fail(ErrorKind::corrupt, "values {} do not match sorted sequences {}", to_string(values), to_string(sorted));
  size_t rows = one_row ? 1 : element_count(Shape(sorted.begin(), sorted.end() - 1));
  bool right = context.node.attributes().get_bool("right_mode", false);
  context.outputs[0] = convert(search(context.inputs[0], context.inputs[1], rows, right), place_type(context.node));
}

// FakeQuantize: rounds to one of `levels` values between the output limits, which the input limits are mapped to.

int64_t quantize_levels(const Node& node) {
  int64_t levels = node.attributes().get_int("levels", 0);
  if (levels < 2 || levels > int64_t{1} << 32) fail(ErrorKind::corrupt, "levels should be at least 2, not {}", levels);
  return levels;
}

void infer_fake_quantize(Node& node) {
  quantize_levels(node);
  set_output(node, 0, node.input(0).type(), node.input(0).shape());
}

/// One of the limits, repeated to the shape of the data.
Tensor spread(const Tensor& limit, const Shape& shape) {
  if (limit.rank() > shape.size()) fail(ErrorKind::corrupt, "limits {} for data {}", to_string(limit.shape()), to_string(shape));
  Shape dims(shape.size() - limit.rank(), 1);
  dims.insert(dims.end(), limit.shape().begin(), limit.shape().end());
  std::vector<AxisMap> maps;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1 && dims[i] != shape[i])
      fail(ErrorKind::corrupt, "limits {} cannot be broadcast to {}", to_string(limit.shape()), to_string(shape));
    maps.push_back(dims[i] == 1 ? make_map(shape[i]) : identity_map(shape[i]));
  }
  return remap_axes(convert(limit, ElementType::f32).reshaped(dims), maps);
}

float quantize(float x, float in_low, float in_high, float out_low, float out_high, float steps) {
  if (x <= std::min(in_low, in_high)) return out_low;
  if (x > std::max(in_low, in_high)) return out_high;
  return std::nearbyint((x - in_low) / (in_high - in_low) * steps) / steps * (out_high - out_low) + out_low;
}

void evaluate_fake_quantize(EvalContext& context) {
  const Tensor& data = context.inputs[0];
  Tensor out = convert(data, ElementType::f32).clone();
  std::vector<Tensor> limits;
  for (size_t i = 1; i < 5; ++i) limits.push_back(spread(context.inputs[i], data.shape()));
  auto steps = static_cast<float>(quantize_levels(context.node) - 1);
  auto x = out.as_mutable<float>();
  auto limit = [&](size_t k, size_t i) { return limits[k].as<float>()[i]; };
  for (size_t i = 0; i < x.size(); ++i) x[i] = quantize(x[i], limit(0, i), limit(1, i), limit(2, i), limit(3, i), steps);
  context.outputs[0] = convert(out, data.type());
}

}  // namespace

std::span<const OpDef> search_ops() {
  static const std::vector<OpDef> ops{
      {"Bucketize", {"opset3"}, 2, 2, 1, infer_bucketize, evaluate_bucketize},
      {"SearchSorted", {"opset15"}, 2, 2, 1, infer_search_sorted, evaluate_search_sorted},
      {"FakeQuantize", {"opset1"}, 5, 5, 1, infer_fake_quantize, evaluate_fake_quantize},
  };
  return ops;
}

}  // namespace nibble
