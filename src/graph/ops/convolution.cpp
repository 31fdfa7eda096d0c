#include <algorithm>
#include <array>

#include "base/fail.hpp"
#include "base/thread_pool.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"
#include "graph/ops/windows.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

// Convolutions compute in f32, with a bound of 1, 2 or 3 spatial dimensions. Filters: [O, I, k..], [G, O, I, k..] with groups;
// the transposed ones (BackpropData) [I, O, k..] and [G, I, O, k..].

bool is_grouped(const Node& node) { return node.type().starts_with("Group"); }

std::vector<int64_t> last_dims(const Shape& dims, size_t count) { return {dims.end() - static_cast<std::ptrdiff_t>(count), dims.end()}; }

/// [G, A, B] of the filter; G is 1 where the operation has no groups.
std::array<int64_t, 3> filter_channels(const Node& node, const PartialShape& filter) {
  if (is_grouped(node)) return {filter[0], filter[1], filter[2]};
  return {1, filter[0], filter[1]};
}

void require_channels(int64_t data, int64_t groups, int64_t per_group) {
  int64_t expected = multiply_dims(groups, per_group);
  if (data != kDynamic && expected != kDynamic && data != expected)
    fail(ErrorKind::corrupt, "the filter takes {} channels, the data has {}", expected, data);
}

/// Ranks known: [N, O, windows..].
PartialShape convolution_shape(const Node& node, const PartialShape& data, const PartialShape& filter) {
  size_t spatial = spatial_rank(data.rank(), 2);
  if (filter.rank() != spatial + 2 + is_grouped(node))
    fail(ErrorKind::corrupt, "a filter [{}] for data [{}]", to_string(filter), to_string(data));
  auto [groups, out, in] = filter_channels(node, filter);
  require_channels(data[1], groups, in);
  Windows windows = read_windows(node, last_dims(filter.dims(), spatial));
  Shape dims{data[0], multiply_dims(groups, out)};
  for (size_t i = 0; i < spatial; ++i) dims.push_back(windows.count(i, data[2 + i]));
  return dims;
}

void infer_convolution(Node& node) {
  const PartialShape &data = node.input(0).shape(), &filter = node.input(1).shape();
  ElementType type = merge_types(node.input(0).type(), node.input(1).type());
  bool known = data.rank_is_known() && filter.rank_is_known();
  set_output(node, 0, type,
             known                  ? convolution_shape(node, data, filter)
             : data.rank_is_known() ? PartialShape::of_rank(data.rank())
                                    : PartialShape());
}

/// A convolution with three spatial axes, the first ones of length 1 where the operation has fewer. In the transposed operation
/// `in` is the result and `out` the data: the same pairs of elements meet.
struct Plan {
  size_t batch, groups, in_channels, out_channels;  // channels per group
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, pad{0, 0, 0};

  size_t in_area() const { return static_cast<size_t>(in[0] * in[1] * in[2]); }
  size_t out_area() const { return static_cast<size_t>(out[0] * out[1] * out[2]); }
  size_t kernel_area() const { return static_cast<size_t>(kernel[0] * kernel[1] * kernel[2]); }
};

Plan make_plan(const Windows& windows, const Shape& in, const Shape& out) {
  Plan plan{static_cast<size_t>(in[0]), 1, 1, 1};
  size_t rank = windows.rank();
  for (size_t i = 0; i < rank; ++i) {
    size_t to = 3 - rank + i;
    plan.in[to] = in[2 + i];
    plan.out[to] = out[2 + i];
    plan.kernel[to] = windows.kernel[i];
    plan.stride[to] = windows.strides[i];
    plan.dilation[to] = windows.dilations[i];
    plan.pad[to] = windows.pads_begin[i];
  }
  return plan;
}

/// Outputs [first, last) along an axis whose input at kernel position k lies inside the data.
std::pair<int64_t, int64_t> valid_outputs(const Plan& plan, size_t axis, int64_t k) {
  int64_t shift = plan.pad[axis] - k * plan.dilation[axis], stride = plan.stride[axis];
  int64_t first = shift <= 0 ? 0 : (shift + stride - 1) / stride;
  int64_t end = plan.in[axis] + shift;
  int64_t last = end <= 0 ? 0 : std::min(plan.out[axis], (end - 1) / stride + 1);
  return {std::min(first, last), last};
}

/// Calls row(in offset, out offset, count) for each row of outputs that kernel position (z, y, x) reaches.
template <class Row>
void for_each_row(const Plan& plan, std::array<int64_t, 3> k, Row&& row) {
  auto [z0, z1] = valid_outputs(plan, 0, k[0]);
  auto [y0, y1] = valid_outputs(plan, 1, k[1]);
  auto [x0, x1] = valid_outputs(plan, 2, k[2]);
  auto source = [&](size_t axis, int64_t o) { return o * plan.stride[axis] + k[axis] * plan.dilation[axis] - plan.pad[axis]; };
  for (int64_t z = z0; z < z1; ++z)
    for (int64_t y = y0; y < y1 && x0 < x1; ++y)
      row((source(0, z) * plan.in[1] + source(1, y)) * plan.in[2] + source(2, x0), (z * plan.out[1] + y) * plan.out[2] + x0, x1 - x0);
}

template <class Visit>
void for_each_kernel_position(const Plan& plan, Visit&& visit) {
  size_t at = 0;
  for (int64_t z = 0; z < plan.kernel[0]; ++z)
    for (int64_t y = 0; y < plan.kernel[1]; ++y)
      for (int64_t x = 0; x < plan.kernel[2]; ++x) visit(at++, std::array<int64_t, 3>{z, y, x});
}

/// out += kernel * in, for one pair of channels.
void correlate(const Plan& plan, const float* in, const float* kernel, float* out) {
  for_each_kernel_position(plan, [&](size_t at, std::array<int64_t, 3> k) {
    float weight = kernel[at];
    for_each_row(plan, k, [&](int64_t from, int64_t to, int64_t count) {
      for (int64_t i = 0; i < count; ++i) out[to + i] += weight * in[from + i * plan.stride[2]];
    });
  });
}

/// in += kernel * out: the transposed operation.
void spread(const Plan& plan, float* in, const float* kernel, const float* out) {
  for_each_kernel_position(plan, [&](size_t at, std::array<int64_t, 3> k) {
    float weight = kernel[at];
    for_each_row(plan, k, [&](int64_t to, int64_t from, int64_t count) {
      for (int64_t i = 0; i < count; ++i) in[to + i * plan.stride[2]] += weight * out[from + i];
    });
  });
}

Windows resolved_windows(const Node& node, const Shape& filter, size_t spatial, const Shape& data) {
  Windows windows = read_windows(node, last_dims(filter, spatial));
  windows.resolve_pads(last_dims(data, spatial));
  return windows;
}

void evaluate_convolution(EvalContext& context) {
  const Shape &data = context.inputs[0].shape(), &filter = context.inputs[1].shape();
  Shape shape = convolution_shape(context.node, data, filter).dims();
  Tensor x = convert(context.inputs[0], ElementType::f32), w = convert(context.inputs[1], ElementType::f32);
  Tensor out = make_output(ElementType::f32, shape);
  Plan plan = make_plan(resolved_windows(context.node, filter, data.size() - 2, data), data, shape);
  auto [groups, out_channels, in_channels] = filter_channels(context.node, filter);
  plan.groups = static_cast<size_t>(groups);
  plan.out_channels = static_cast<size_t>(out_channels);
  plan.in_channels = static_cast<size_t>(in_channels);
  auto to = out.as_mutable<float>();
  auto run_channel = [&](size_t i) {  // i counts (batch, group, output channel)
    size_t first_input = i / plan.out_channels * plan.in_channels;
    size_t filter_row = i % (plan.groups * plan.out_channels);
    for (size_t c = 0; c < plan.in_channels; ++c)
      correlate(plan, x.as<float>().data() + (first_input + c) * plan.in_area(),
                w.as<float>().data() + (filter_row * plan.in_channels + c) * plan.kernel_area(), to.data() + i * plan.out_area());
  };
  if (out.size() > 0)
    context.threads.parallel_for(plan.batch * plan.groups * plan.out_channels, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) run_channel(i);
    });
  context.outputs[0] = convert(out, context.inputs[0].type());
}

// The transposed operation. Its result has the lengths that are asked for (input 2), or those that follow from the pads.

int64_t transposed_length(const Windows& windows, size_t axis, int64_t length, int64_t output_padding) {
  if (length == kDynamic || windows.kernel[axis] == kDynamic) return kDynamic;
  if (length > int64_t{1} << 30) fail(ErrorKind::corrupt, "a spatial dimension of {} is too long", length);
  if (length == 0) return 0;
  bool padded = windows.auto_pad == Windows::AutoPad::given;
  int64_t pads = padded ? windows.pads_begin[axis] + windows.pads_end[axis] : 0;
  int64_t result = windows.strides[axis] * (length - 1) + windows.extent(axis) - pads + output_padding;
  if (result < 0) fail(ErrorKind::corrupt, "pads of {} leave nothing of a result", pads);
  return result;
}

std::vector<int64_t> output_padding(const Node& node, size_t spatial) {
  std::vector<int64_t> padding = node.attributes().get_ints("output_padding");
  padding.resize(std::max(padding.size(), spatial), 0);
  for (int64_t value : padding)
    if (value < 0 || value >= int64_t{1} << 31) fail(ErrorKind::corrupt, "an output_padding of {}", value);
  return padding;
}

PartialShape transposed_shape(const Node& node, const PartialShape& data, const PartialShape& filter,
                              const std::optional<PartialIntegers>& lengths) {
  size_t spatial = spatial_rank(data.rank(), 2);
  if (filter.rank() != spatial + 2 + is_grouped(node))
    fail(ErrorKind::corrupt, "a filter [{}] for data [{}]", to_string(filter), to_string(data));
  if (lengths && lengths->size() != spatial) fail(ErrorKind::corrupt, "an output shape of {} lengths", lengths->size());
  auto [groups, in, out] = filter_channels(node, filter);
  require_channels(data[1], groups, in);
  Windows windows = read_windows(node, last_dims(filter.dims(), spatial));
  std::vector<int64_t> padding = output_padding(node, spatial);
  Shape dims{data[0], multiply_dims(groups, out)};
  for (size_t i = 0; i < spatial; ++i)
    dims.push_back(lengths ? to_dim((*lengths)[i]) : transposed_length(windows, i, data[2 + i], padding[i]));
  return dims;
}

void infer_transposed(Node& node) {
  const PartialShape &data = node.input(0).shape(), &filter = node.input(1).shape();
  ElementType type = merge_types(node.input(0).type(), node.input(1).type());
  set_output(node, 0, type, data.rank_is_known() ? PartialShape::of_rank(data.rank()) : PartialShape());
  if (!data.rank_is_known() || !filter.rank_is_known()) return;
  std::optional<PartialIntegers> lengths;
  if (node.input_count() > 2) {
    lengths = partial_integers(node.input(2));
    if (!lengths) return;
  }
  node.output_info().shape = transposed_shape(node, data, filter, lengths);
}

/// With a given output shape the pads are what is left over; an odd one goes to the beginning for same_upper, else to the end.
void fit_pads(Windows& windows, const Shape& data, const Shape& result, const std::vector<int64_t>& padding) {
  for (size_t i = 0; i < windows.rank(); ++i) {
    int64_t total = windows.strides[i] * (data[2 + i] - 1) + windows.extent(i) + padding[i] - result[2 + i];
    total = std::max<int64_t>(0, total);
    windows.pads_begin[i] = windows.auto_pad == Windows::AutoPad::same_upper ? total - total / 2 : total / 2;
  }
}

void evaluate_transposed(EvalContext& context) {
  const Shape &data = context.inputs[0].shape(), &filter = context.inputs[1].shape();
  std::optional<PartialIntegers> lengths;
  if (context.inputs.size() > 2) lengths = to_partial(integers(context, 2));
  Shape shape = transposed_shape(context.node, data, filter, lengths).dims();
  Tensor y = convert(context.inputs[0], ElementType::f32), w = convert(context.inputs[1], ElementType::f32);
  Tensor out = make_output(ElementType::f32, shape);
  size_t spatial = data.size() - 2;
  Windows windows = read_windows(context.node, last_dims(filter, spatial));
  bool given = windows.auto_pad == Windows::AutoPad::given;
  if (lengths && !given) fit_pads(windows, data, shape, output_padding(context.node, spatial));
  Plan plan = make_plan(windows, shape, data);
  auto [groups, data_channels, result_channels] = filter_channels(context.node, filter);
  plan.groups = static_cast<size_t>(groups);
  plan.in_channels = static_cast<size_t>(result_channels);
  plan.out_channels = static_cast<size_t>(data_channels);
  auto to = out.as_mutable<float>();
  auto run_channel = [&](size_t i) {  // i counts (batch, group, result channel)
    size_t block = i / plan.in_channels, group = block % plan.groups;
    for (size_t c = 0; c < plan.out_channels; ++c) {
      size_t filter_at = (group * plan.out_channels + c) * plan.in_channels + i % plan.in_channels;
      spread(plan, to.data() + i * plan.in_area(), w.as<float>().data() + filter_at * plan.kernel_area(),
             y.as<float>().data() + (block * plan.out_channels + c) * plan.out_area());
    }
  };
  if (out.size() > 0 && y.size() > 0)
    context.threads.parallel_for(plan.batch * plan.groups * plan.in_channels, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) run_channel(i);
    });
  context.outputs[0] = convert(out, context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> convolution_ops() {
  static const std::vector<OpDef> ops{
      {"Convolution", {"opset1"}, 2, 2, 1, infer_convolution, evaluate_convolution},
      {"GroupConvolution", {"opset1"}, 2, 2, 1, infer_convolution, evaluate_convolution},
      {"ConvolutionBackpropData", {"opset1"}, 2, 3, 1, infer_transposed, evaluate_transposed},
      {"GroupConvolutionBackpropData", {"opset1"}, 2, 3, 1, infer_transposed, evaluate_transposed},
  };
  return ops;
}

}  // namespace nibble
