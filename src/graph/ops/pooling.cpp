#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "base/thread_pool.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"
#include "graph/ops/windows.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

std::vector<int64_t> spatial_dims(const Shape& shape) { return {shape.begin() + 2, shape.end()}; }

std::vector<int64_t> read_kernel(const Node& node, size_t spatial) {
  std::vector<int64_t> kernel = node.attributes().get_ints("kernel");
  if (kernel.size() != spatial) fail(ErrorKind::corrupt, "a kernel of {} lengths for {} spatial dimensions", kernel.size(), spatial);
  for (int64_t size : kernel)
    if (size < 1) fail(ErrorKind::corrupt, "a kernel of {} elements", size);
  return kernel;
}

PartialShape pooled_shape(const Node& node, const PartialShape& data) {
  if (!data.rank_is_known()) return {};
  Windows windows = read_windows(node, read_kernel(node, spatial_rank(data.rank(), 2)));
  PartialShape shape = data;
  for (size_t i = 0; i < windows.rank(); ++i) shape[2 + i] = windows.count(i, data[2 + i]);
  return shape;
}

void infer_avg_pool(Node& node) { set_output(node, 0, node.input(0).type(), pooled_shape(node, node.input(0).shape())); }

ElementType places_type(const Node& node) {
  ElementType type = node.attributes().get_type("index_element_type", ElementType::i64);
  if (type != ElementType::i64 && type != ElementType::i32)
    fail(ErrorKind::corrupt, "index_element_type {} is neither i64 nor i32", to_string(type));
  return type;
}

/// opset8 adds the places of the maxima as a second output.
void infer_max_pool(Node& node) {
  bool has_places = node.opset() != "opset1";
  node.set_output_count(has_places ? 2 : 1);
  infer_avg_pool(node);
  if (has_places) set_output(node, 1, places_type(node), node.output_info(0).shape);
}

/// Visits every window of one channel: visit(number, tuple of window indices).
template <class Visit>
void for_each_window(const Shape& counts, Visit&& visit) {
  Odometer at(counts);
  size_t number = 0;
  do visit(number++, at.index());
  while (at.next());
}

/// Kernel positions [first, first + count) of a window along an axis that are inside the data.
struct Inside {
  int64_t first, count;
};

int64_t divide_up(int64_t value, int64_t by) { return value <= 0 ? 0 : (value - 1) / by + 1; }

Inside inside_axis(const Windows& windows, size_t axis, int64_t window, int64_t length) {
  int64_t start = window * windows.strides[axis] - windows.pads_begin[axis], dilation = windows.dilations[axis];
  int64_t first = divide_up(-start, dilation), last = std::min(windows.kernel[axis], divide_up(length - start, dilation));
  return {first, std::max<int64_t>(0, last - first)};
}

/// Calls visit(offset in the channel) for the elements of a window that are not padding.
template <class Visit>
void for_each_element(const Windows& windows, const Shape& lengths, const std::vector<size_t>& strides, const std::vector<int64_t>& window,
                      Visit&& visit) {
  Shape counts;
  std::vector<size_t> steps;
  size_t origin = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    auto [first, count] = inside_axis(windows, i, window[i], lengths[i]);
    if (count == 0) return;
    counts.push_back(count);
    steps.push_back(static_cast<size_t>(windows.dilations[i]) * strides[i]);
    int64_t start = window[i] * windows.strides[i] - windows.pads_begin[i] + first * windows.dilations[i];
    origin += static_cast<size_t>(start) * strides[i];
  }
  Odometer at(counts);
  do {
    size_t offset = origin;
    for (size_t i = 0; i < counts.size(); ++i) offset += static_cast<size_t>(at[i]) * steps[i];
    visit(offset);
  } while (at.next());
}

struct Pool {
  Windows windows;
  Shape shape, lengths, counts;  // of the result; spatial dimensions of data and result
  std::vector<size_t> strides;
  size_t channels, in_area, out_area;
};

Pool make_pool(const EvalContext& context) {
  const Shape& data = context.inputs[0].shape();
  Pool pool;
  pool.shape = pooled_shape(context.node, data).dims();
  pool.windows = read_windows(context.node, read_kernel(context.node, data.size() - 2));
  pool.lengths = spatial_dims(data);
  pool.counts = spatial_dims(pool.shape);
  pool.windows.resolve_pads(pool.lengths);
  pool.strides = dense_strides(pool.lengths);
  pool.channels = element_count({data[0], data[1]});
  pool.in_area = element_count(pool.lengths);
  pool.out_area = element_count(pool.counts);
  return pool;
}

template <class Run>
void for_each_channel(EvalContext& context, const Pool& pool, Run&& run) {
  if (element_count(pool.shape) == 0) return;
  context.threads.parallel_for(pool.channels, 1, [&](size_t begin, size_t end) {
    for (size_t channel = begin; channel < end; ++channel) run(channel);
  });
}

/// What the sum over a window is divided by when padding counts: its elements inside the padded data, or with `ceil`, as
/// OpenVINO does, all of them.
float padded_size(const Pool& pool, const std::vector<int64_t>& window) {
  const Windows& w = pool.windows;
  float size = 1;
  for (size_t i = 0; i < window.size(); ++i) {
    int64_t room = pool.lengths[i] + w.pads_begin[i] + w.pads_end[i] - window[i] * w.strides[i];
    bool all = w.rounding == Windows::Rounding::ceil;
    size *= static_cast<float>(all ? w.kernel[i] : std::min(w.kernel[i], divide_up(room, w.dilations[i])));
  }
  return size;
}

void evaluate_avg_pool(EvalContext& context) {
  Pool pool = make_pool(context);
  bool exclude = context.node.attributes().get_bool("exclude-pad", context.node.attributes().get_bool("exclude_pad", false));
  Tensor data = convert(context.inputs[0], ElementType::f32), out = make_output(ElementType::f32, pool.shape);
  auto to = out.as_mutable<float>();
  for_each_channel(context, pool, [&](size_t channel) {
    const float* from = data.as<float>().data() + channel * pool.in_area;
    for_each_window(pool.counts, [&](size_t number, const std::vector<int64_t>& window) {
      float sum = 0;
      float count = 0;
      for_each_element(pool.windows, pool.lengths, pool.strides, window, [&](size_t offset) {
        sum += from[offset];
        ++count;
      });
      float divisor = exclude ? count : padded_size(pool, window);
      to[channel * pool.out_area + number] = divisor == 0 ? 0 : sum / divisor;
    });
  });
  context.outputs[0] = convert(out, context.inputs[0].type());
}

/// Places count from the first element of the dimensions `axis` and up.
size_t place_period(const Node& node, const Shape& data) {
  size_t axis = normalize_axis(node.attributes().get_int("axis", 0), data.size());
  return std::max<size_t>(1, element_count(Shape(data.begin() + static_cast<std::ptrdiff_t>(axis), data.end())));
}

void evaluate_max_pool(EvalContext& context) {
  Pool pool = make_pool(context);
  Tensor data = convert(context.inputs[0], ElementType::f32), out = make_output(ElementType::f32, pool.shape);
  Tensor places = make_output(ElementType::i64, pool.shape);
  auto to = out.as_mutable<float>();
  auto place = places.as_mutable<int64_t>();
  size_t period = place_period(context.node, data.shape());
  for_each_channel(context, pool, [&](size_t channel) {
    const float* from = data.as<float>().data() + channel * pool.in_area;
    for_each_window(pool.counts, [&](size_t number, const std::vector<int64_t>& window) {
      float best = -std::numeric_limits<float>::infinity();
      size_t best_at = 0;
      bool found = false;
      for_each_element(pool.windows, pool.lengths, pool.strides, window, [&](size_t offset) {
        if (found && !(from[offset] > best)) return;
        found = true;
        best = from[offset];
        best_at = offset;
      });
      to[channel * pool.out_area + number] = best;
      place[channel * pool.out_area + number] = static_cast<int64_t>((channel * pool.in_area + best_at) % period);
    });
  });
  context.outputs[0] = convert(out, context.inputs[0].type());
  if (context.outputs.size() > 1) context.outputs[1] = convert(places, places_type(context.node));
}

// AdaptiveAvgPool: result i of `count` is the mean of [floor(i*length/count), ceil((i+1)*length/count)) along each axis.

PartialShape adaptive_shape(const PartialShape& data, const PartialIntegers& lengths) {
  size_t spatial = spatial_rank(data.rank(), 2);
  if (lengths.size() != spatial)
    fail(ErrorKind::corrupt, "an output shape of {} lengths for {} spatial dimensions", lengths.size(), spatial);
  PartialShape shape = data;
  for (size_t i = 0; i < spatial; ++i) shape[2 + i] = to_dim(lengths[i]);
  return shape;
}

void infer_adaptive(Node& node) {
  require_integers(node, 1);
  PartialShape shape = node.input(0).shape();
  if (shape.rank_is_known()) {
    auto lengths = partial_integers(node.input(1)).value_or(PartialIntegers(spatial_rank(shape.rank(), 2)));
    shape = adaptive_shape(shape, lengths);
  }
  set_output(node, 0, node.input(0).type(), shape);
}

/// Mean along the axis of `from` [outer, length, inner] in `count` adaptive windows.
Tensor adaptive_mean(const Tensor& data, size_t axis, int64_t count) {
  Shape shape = data.shape();
  auto length = shape[axis];
  shape[axis] = count;
  AxisView view(data.shape(), axis);
  Tensor out = make_output(ElementType::f32, shape);
  if (out.size() == 0) return out;
  if (length == 0) fail(ErrorKind::invalid_argument, "an empty axis has no mean");
  auto from = data.as<float>();
  auto to = out.as_mutable<float>();
  for (size_t i = 0; i < to.size(); ++i) {
    size_t outer = i / view.inner / static_cast<size_t>(count), inner = i % view.inner;
    auto window = static_cast<int64_t>(i / view.inner % static_cast<size_t>(count));
    int64_t begin = window * length / count, end = ((window + 1) * length + count - 1) / count;
    float sum = 0;
    for (int64_t k = begin; k < end; ++k) sum += from[(outer * view.size + static_cast<size_t>(k)) * view.inner + inner];
    to[i] = sum / static_cast<float>(end - begin);
  }
  return out;
}

void evaluate_adaptive(EvalContext& context) {
  Shape shape = adaptive_shape(context.inputs[0].shape(), to_partial(integers(context, 1))).dims();
  Tensor out = convert(context.inputs[0], ElementType::f32);
  for (size_t axis = 2; axis < shape.size(); ++axis) out = adaptive_mean(out, axis, shape[axis]);
  context.outputs[0] = convert(out, context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> pooling_ops() {
  static const std::vector<OpDef> ops{
      {"AvgPool", {"opset1", "opset14"}, 1, 1, 1, infer_avg_pool, evaluate_avg_pool},
      {"MaxPool", {"opset1", "opset8", "opset14"}, 1, 1, -1, infer_max_pool, evaluate_max_pool},
      {"AdaptiveAvgPool", {"opset8"}, 2, 2, 1, infer_adaptive, evaluate_adaptive},
  };
  return ops;
}

}  // namespace nibble
