#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/fail.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

// Interpolate resizes axis by axis: every mode's weights are products of weights along the axes.

enum class Mode { nearest, linear, linear_onnx, cubic };
enum class Coordinates { half_pixel, pytorch_half_pixel, asymmetric, tf_half_pixel_for_nn, align_corners };
enum class Nearest { round_prefer_floor, round_prefer_ceil, floor, ceil, simple };

template <class Enum, size_t N>
Enum read_enum(const Node& node, std::string_view attribute, const std::array<std::string_view, N>& names) {
  for (size_t i = 0; i < N; ++i)
    if (node.attributes().equals(attribute, names[i], names[0])) return static_cast<Enum>(i);
  fail(ErrorKind::unsupported, "{} '{}' is not supported", attribute, node.attributes().get_string(attribute));
}

struct Options {
  Mode mode;
  Coordinates coordinates;
  Nearest nearest;
  bool by_scales, antialias;
  float cube_coeff;
  std::vector<int64_t> pads_begin, pads_end;
};

Options read_options(const Node& node) {
  const Attributes& attributes = node.attributes();
  return {read_enum<Mode, 4>(node, "mode", {"nearest", "linear", "linear_onnx", "cubic"}),
          read_enum<Coordinates, 5>(node, "coordinate_transformation_mode",
                                    {"half_pixel", "pytorch_half_pixel", "asymmetric", "tf_half_pixel_for_nn", "align_corners"}),
          read_enum<Nearest, 5>(node, "nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"}),
          attributes.equals("shape_calculation_mode", "scales", "sizes"),
          attributes.get_bool("antialias", false),
          static_cast<float>(attributes.get_float("cube_coeff", -0.75)),
          attributes.get_ints("pads_begin"),
          attributes.get_ints("pads_end")};
}

/// Inputs differ: opset4 has sizes and scales, opset11 one of them.
struct InputNumbers {
  size_t sizes, scales, axes;
};
InputNumbers input_numbers(const Node& node) {
  if (node.opset() != "opset4") return {1, 1, 2};
  if (node.input_count() < 3) fail(ErrorKind::corrupt, "Interpolate of opset4 needs sizes and scales");
  return {1, 2, 3};
}

int64_t pad_of(const std::vector<int64_t>& pads, size_t axis) {
  int64_t pad = axis < pads.size() ? pads[axis] : 0;
  if (pad < 0 || pad >= int64_t{1} << 31) fail(ErrorKind::corrupt, "a pad of {} is out of range", pad);
  return pad;
}

PartialShape padded_shape(PartialShape shape, const Options& options) {
  for (size_t i = 0; i < shape.rank(); ++i)
    shape[i] = add_dims(shape[i], add_dims(pad_of(options.pads_begin, i), pad_of(options.pads_end, i)));
  return shape;
}

int64_t scaled_dim(int64_t dim, float scale) {
  if (dim == kDynamic) return kDynamic;
  if (!(scale > 0) || !std::isfinite(scale)) fail(ErrorKind::invalid_argument, "a scale of {} cannot be used", scale);
  double length = std::floor(static_cast<double>(static_cast<float>(dim) * scale) + 1e-5);
  if (length > 0x1p40) fail(ErrorKind::exhausted, "a dimension of {} scaled by {} is too long", dim, scale);
  return static_cast<int64_t>(length);
}

std::vector<size_t> resized_axes(const std::optional<std::vector<int64_t>>& axes, size_t count, size_t rank) {
  if (axes) {
    if (axes->size() != count) fail(ErrorKind::corrupt, "{} axes for {} lengths", axes->size(), count);
    return normalize_axes(*axes, rank);
  }
  if (count != rank) fail(ErrorKind::corrupt, "{} lengths for rank {}", count, rank);
  std::vector<size_t> all(rank);
  for (size_t i = 0; i < rank; ++i) all[i] = i;
  return all;
}

/// The scales where they are constants.
std::optional<std::vector<float>> known_scales(Value value) {
  if (!value.node->is("Constant") || value.node->constant().byte_size() > 1024) return std::nullopt;
  return to_floats(value.node->constant().tensor());
}

/// Lengths of the resized axes as far as they are known; nullopt when not even their number is.
std::optional<Shape> known_lengths(const Node& node, const Options& options, const PartialShape& padded,
                                   const std::optional<std::vector<int64_t>>& axes) {
  InputNumbers numbers = input_numbers(node);
  if (!options.by_scales) {
    auto sizes = partial_integers(node.input(numbers.sizes));
    return sizes ? std::optional(to_dims(*sizes)) : std::nullopt;
  }
  auto scales = known_scales(node.input(numbers.scales));
  if (!scales) return std::nullopt;
  auto targets = resized_axes(axes, scales->size(), padded.rank());
  Shape lengths;
  for (size_t i = 0; i < targets.size(); ++i) lengths.push_back(scaled_dim(padded[targets[i]], (*scales)[i]));
  return lengths;
}

void infer_interpolate(Node& node) {
  Options options = read_options(node);
  PartialShape shape = node.input(0).shape();
  set_output(node, 0, node.input(0).type(), shape.rank_is_known() ? PartialShape::of_rank(shape.rank()) : PartialShape());
  if (!shape.rank_is_known()) return;
  size_t axes_input = input_numbers(node).axes;
  std::optional<std::vector<int64_t>> axes;
  if (node.input_count() > axes_input) {
    axes = known_integers(node.input(axes_input));
    if (!axes) return;
  }
  shape = padded_shape(shape, options);
  auto lengths = known_lengths(node, options, shape, axes);
  if (!lengths) return;
  auto targets = resized_axes(axes, lengths->size(), shape.rank());
  for (size_t i = 0; i < targets.size(); ++i) shape[targets[i]] = (*lengths)[i];
  node.output_info().shape = shape;
}

/// Place in the data of element `i` of the result.
float coordinate(Coordinates mode, float i, float scale, float in, float out) {
  switch (mode) {
    case Coordinates::half_pixel: return (i + 0.5f) / scale - 0.5f;
    case Coordinates::pytorch_half_pixel: return out > 1 ? (i + 0.5f) / scale - 0.5f : 0.0f;
    case Coordinates::asymmetric: return i / scale;
    case Coordinates::tf_half_pixel_for_nn: return (i + 0.5f) / scale;
    case Coordinates::align_corners: return out == 1 ? 0 : i * (in - 1) / (out - 1);
  }
  return 0;
}

float round_to_nearest(Nearest mode, float x, float scale) {
  switch (mode) {
    case Nearest::round_prefer_floor: return x == std::floor(x) + 0.5f ? std::floor(x) : std::round(x);
    case Nearest::round_prefer_ceil: return std::floor(x + 0.5f);
    case Nearest::floor: return std::floor(x);
    case Nearest::ceil: return std::ceil(x);
    case Nearest::simple: return scale < 1 ? std::ceil(x) : std::trunc(x);
  }
  return x;
}

/// Elements of an axis that make up one of the result, with their weights.
using Taps = std::vector<std::pair<size_t, float>>;

size_t clamp_index(float x, int64_t length) {
  auto index = static_cast<int64_t>(std::clamp(x, 0.0f, static_cast<float>(length - 1)));
  return static_cast<size_t>(std::min(index, length - 1));  // a float may round a long length up
}

Taps linear_taps(float x, int64_t length) {
  x = std::clamp(x, 0.0f, static_cast<float>(length - 1));
  size_t low = clamp_index(std::floor(x), length), high = std::min(low + 1, static_cast<size_t>(length - 1));
  float part = x - static_cast<float>(low);
  return {{low, 1 - part}, {high, part}};
}

/// A triangle around x, wider when shrinking with antialias; what falls outside the data does not count.
Taps triangle_taps(float x, int64_t length, float scale, bool antialias) {
  float slope = antialias && scale < 1 ? scale : 1.0f;
  float reach = 1 / slope;
  Taps taps;
  float sum = 0;
  size_t last = clamp_index(std::ceil(x + reach), length);
  for (size_t i = clamp_index(std::floor(x - reach), length); i <= last; ++i) {
    float weight = slope * std::max(0.0f, 1 - std::abs(slope * (x - static_cast<float>(i))));
    if (weight > 0) taps.emplace_back(i, weight);
    sum += weight;
  }
  for (auto& [index, weight] : taps) weight /= sum;
  return taps;
}

/// Keys' cubic convolution with coefficient a; elements beyond the ends repeat the last one.
Taps cubic_taps(float x, int64_t length, float a) {
  float base = std::floor(x), t = x - base;
  auto near = [a](float d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  auto far = [a](float d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  std::array<float, 4> weights{far(t + 1), near(t), near(1 - t), far(2 - t)};
  Taps taps;
  for (size_t k = 0; k < 4; ++k) taps.emplace_back(clamp_index(base + static_cast<float>(k) - 1, length), weights[k]);
  return taps;
}

Taps taps_for(const Options& options, float x, int64_t length, float scale) {
  switch (options.mode) {
    case Mode::nearest: return {{clamp_index(round_to_nearest(options.nearest, x, scale), length), 1.0f}};
    case Mode::linear: return triangle_taps(x, length, scale, options.antialias);
    case Mode::linear_onnx: return linear_taps(x, length);
    case Mode::cubic: return cubic_taps(x, length, options.cube_coeff);
  }
  return {};
}

Tensor resize_axis(const Tensor& data, size_t axis, int64_t length, float scale, const Options& options) {
  Shape shape = data.shape();
  int64_t from_length = shape[axis];
  shape[axis] = length;
  Tensor out = make_output(ElementType::f32, shape);
  if (out.size() == 0) return out;
  if (from_length == 0) fail(ErrorKind::invalid_argument, "an empty axis cannot be resized to {} elements", length);
  AxisView view(data.shape(), axis);
  const float* from = data.as<float>().data();
  float* to = out.as_mutable<float>().data();
  for (int64_t i = 0; i < length; ++i) {
    float x = coordinate(options.coordinates, static_cast<float>(i), scale, static_cast<float>(from_length), static_cast<float>(length));
    for (const auto& [index, weight] : taps_for(options, x, from_length, scale))
      for (size_t outer = 0; outer < view.outer; ++outer) {
        const float* source = from + (outer * view.size + index) * view.inner;
        float* target = to + (outer * static_cast<size_t>(length) + static_cast<size_t>(i)) * view.inner;
        for (size_t k = 0; k < view.inner; ++k) target[k] += weight * source[k];
      }
  }
  return out;
}

Tensor pad_zeros(const Tensor& data, const Options& options) {
  std::vector<AxisMap> maps;
  for (size_t axis = 0; axis < data.rank(); ++axis) {
    AxisMap map = identity_map(data.shape()[axis]);
    map.insert(map.begin(), static_cast<size_t>(pad_of(options.pads_begin, axis)), kFill);
    map.insert(map.end(), static_cast<size_t>(pad_of(options.pads_end, axis)), kFill);
    maps.push_back(std::move(map));
  }
  return remap_axes(data, maps);
}

/// Integer images are rounded, not cut off.
Tensor store(Tensor values, ElementType type) {
  if (!is_float(type))
    for (float& value : values.as_mutable<float>()) value = std::nearbyint(value);
  return convert(values, type);
}

void evaluate_interpolate(EvalContext& context) {
  Options options = read_options(context.node);
  InputNumbers numbers = input_numbers(context.node);
  Tensor out = pad_zeros(convert(context.inputs[0], ElementType::f32), options);
  std::optional<std::vector<int64_t>> axes;
  if (context.inputs.size() > numbers.axes) axes = integers(context, numbers.axes);
  std::vector<float> scales = options.by_scales ? to_floats(context.inputs[numbers.scales]) : std::vector<float>();
  std::vector<int64_t> sizes = options.by_scales ? std::vector<int64_t>() : integers(context, numbers.sizes);
  auto targets = resized_axes(axes, std::max(scales.size(), sizes.size()), out.rank());
  for (size_t i = 0; i < targets.size(); ++i) {
    int64_t length = out.shape()[targets[i]];
    int64_t size = options.by_scales ? scaled_dim(length, scales[i]) : sizes[i];
    if (size < 0) fail(ErrorKind::invalid_argument, "a size of {} is negative", size);
    float scale = options.by_scales ? scales[i] : static_cast<float>(size) / static_cast<float>(length);
    if (size != length || scale != 1) out = resize_axis(out, targets[i], size, scale, options);
  }
  context.outputs[0] = store(out, context.inputs[0].type());
}

}  // namespace

std::span<const OpDef> interpolate_ops() {
  static const std::vector<OpDef> ops{
      {"Interpolate", {"opset4", "opset11"}, 2, 4, 1, infer_interpolate, evaluate_interpolate},
  };
  return ops;
}

}  // namespace nibble
