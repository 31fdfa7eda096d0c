#include <cmath>
#include <limits>

#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/dimensions.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

// Sums are kept in double throughout: a plain specification should not depend on the order of additions.

void infer_softmax(Node& node) {
  infer_like_input(node);
  const PartialShape& shape = node.input(0).shape();
  if (shape.rank_is_known()) read_axis(node, "axis", 1, shape.rank());
}

/// Softmax of `view.size` elements that are `view.inner` apart, or its logarithm.
template <class C>
void softmax(const C* from, C* to, const AxisView& view, bool logarithm) {
  C largest = -std::numeric_limits<C>::infinity();
  for (size_t i = 0; i < view.size; ++i) largest = std::max(largest, from[i * view.inner]);
  double sum = 0;
  for (size_t i = 0; i < view.size; ++i) sum += to[i * view.inner] = std::exp(from[i * view.inner] - largest);
  auto log_sum = static_cast<C>(std::log(sum));
  for (size_t i = 0; i < view.size; ++i) {
    C& out = to[i * view.inner];
    out = logarithm ? from[i * view.inner] - largest - log_sum : static_cast<C>(out / sum);
  }
}

template <bool kLogarithm>
void evaluate_softmax(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  AxisView view(input.shape(), read_axis(context.node, "axis", 1, input.rank()));
  with_float_type(input.type(), context.node.type(), [&](auto zero) {
    using C = decltype(zero);
    Tensor values = to_compute<C>(input);
    Tensor out(values.type(), input.shape());
    for (size_t block = 0; block < view.outer; ++block)
      for (size_t i = 0; i < view.inner; ++i) {
        size_t start = block * view.size * view.inner + i;
        softmax(values.as<C>().data() + start, out.as_mutable<C>().data() + start, view, kLogarithm);
      }
    context.outputs[0] = convert(out, input.type());
  });
}

/// Groups of elements: those that meet the same element of `kept`, the input's shape with reduced dimensions of 1.
struct Groups {
  Shape kept;
  BroadcastWalk<1> walk;
  size_t count, size;
  Groups(const Shape& shape, Shape kept_shape)
      : kept(std::move(kept_shape)), walk(shape, {kept}), count(element_count(kept)), size(count ? element_count(shape) / count : 0) {}
};

Groups groups_along(const Shape& shape, std::span<const int64_t> axes) {
  std::vector<bool> reduced = axis_mask(axes, shape.size());
  Shape kept = shape;
  for (size_t i = 0; i < kept.size(); ++i)
    if (reduced[i]) kept[i] = 1;
  return {shape, kept};
}

template <class C>
std::vector<double> means(const Groups& groups, const C* x) {
  std::vector<double> mean(groups.count, 0.0);
  fold(groups.walk, x, mean.data(), [](double total, C v) { return total + v; });
  for (double& m : mean) m /= static_cast<double>(groups.size);
  return mean;
}

template <class C>
std::vector<double> variances(const Groups& groups, const C* x, const std::vector<double>& mean) {
  std::vector<double> variance(groups.count, 0.0);
  groups.walk.for_each_row([&](size_t first, const auto& at) {
    for (size_t i = 0; i < groups.walk.row_size(); ++i) {
      size_t group = at[0] + i * groups.walk.step(0);
      double deviation = x[first + i] - mean[group];
      variance[group] += deviation * deviation;
    }
  });
  for (double& v : variance) v /= static_cast<double>(groups.size);
  return variance;
}

/// out = (x - shift) * scale with a shift and a scale per group.
template <class C>
void standardize(const Groups& groups, const C* x, const std::vector<double>& shift, const std::vector<double>& scale, C* out) {
  groups.walk.for_each_row([&](size_t first, const auto& at) {
    for (size_t i = 0; i < groups.walk.row_size(); ++i) {
      size_t group = at[0] + i * groups.walk.step(0);
      out[first + i] = static_cast<C>((x[first + i] - shift[group]) * scale[group]);
    }
  });
}

std::vector<double> inverse_deviations(std::vector<double> variance, double eps, bool eps_inside) {
  for (double& v : variance) v = 1 / (eps_inside ? std::sqrt(v + eps) : std::sqrt(v) + eps);
  return variance;
}

void infer_over_axes(Node& node) {
  infer_like_input(node);
  const PartialShape& shape = node.input(0).shape();
  require_list(node, 1);
  require_integers(node, 1);
  auto axes = known_list(node.input(1));
  if (axes && shape.rank_is_known()) axis_mask(*axes, shape.rank());
}

/// Mean-variance normalisation: (x - mean) / sqrt(variance + eps) over the axes.
void evaluate_mvn(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  const Attributes& attributes = context.node.attributes();
  Groups groups = groups_along(input.shape(), integers(context, 1));
  bool eps_inside = attributes.equals("eps_mode", "inside_sqrt", "inside_sqrt");
  with_float_type(input.type(), "MVN", [&](auto zero) {
    using C = decltype(zero);
    Tensor values = to_compute<C>(input);
    const C* x = values.as<C>().data();
    std::vector<double> mean = means(groups, x), scale(groups.count, 1.0);
    if (attributes.get_bool("normalize_variance", true))
      scale = inverse_deviations(variances(groups, x, mean), attributes.get_float("eps", 1e-6), eps_inside);
    Tensor out(values.type(), input.shape());
    standardize(groups, x, mean, scale, out.as_mutable<C>().data());
    context.outputs[0] = convert(out, input.type());
  });
}

/// x / sqrt(sum of squares over the axes + eps), or with eps_mode="max" / sqrt(max(sum, eps)).
void evaluate_normalize_l2(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  const Attributes& attributes = context.node.attributes();
  double eps = attributes.get_float("eps", 0);
  bool adds = attributes.equals("eps_mode", "add", "add");
  Groups groups = groups_along(input.shape(), integers(context, 1));
  with_float_type(input.type(), "NormalizeL2", [&](auto zero) {
    using C = decltype(zero);
    Tensor values = to_compute<C>(input);
    const C* x = values.as<C>().data();
    std::vector<double> scale(groups.count, 0.0);
    fold(groups.walk, x, scale.data(), [](double total, C v) { return total + static_cast<double>(v) * v; });
    for (double& s : scale) s = 1 / std::sqrt(adds ? s + eps : std::max(s, eps));
    Tensor out(values.type(), input.shape());
    standardize(groups, x, std::vector<double>(groups.count, 0.0), scale, out.as_mutable<C>().data());
    context.outputs[0] = convert(out, input.type());
  });
}

/// Inputs from `first` on hold one value per channel, which is dimension 1 of the data.
void infer_per_channel(Node& node) {
  infer_like_input(node);
  PartialShape& shape = node.output_info().shape;
  require_rank_within(shape, 2, 64, "data");
  for (size_t i = 1; i < node.input_count(); ++i) {
    require_rank(node, i, 1);
    const PartialShape& channels = node.input(i).shape();
    node.output_info().type = merge_types(node.output_info().type, node.input(i).type());
    if (shape.rank_is_known() && channels.rank_is_known()) shape[1] = merge_dims(shape[1], channels[0]);
  }
}

std::vector<double> channel_values(const EvalContext& context, size_t input) {
  std::vector<float> values = to_floats(context.inputs[input]);
  const Shape& data = context.inputs[0].shape();
  if (data.size() < 2 || static_cast<int64_t>(values.size()) != data[1])
    fail(ErrorKind::corrupt, "input {} has {} values for data of shape {}", input, values.size(), to_string(data));
  return {values.begin(), values.end()};
}

/// values[i] = values[i] * scale[c] + shift[c] for every element of channel c.
template <class C>
void scale_channels(C* values, const Shape& shape, const std::vector<double>& scale, const std::vector<double>& shift) {
  AxisView view(shape, 1);
  for (size_t block = 0; block < view.outer * view.size; ++block) {
    size_t channel = block % view.size;
    for (size_t i = 0; i < view.inner; ++i, ++values) *values = static_cast<C>(*values * scale[channel] + shift[channel]);
  }
}

int64_t group_count(const Node& node) {
  int64_t groups = node.attributes().get_int("num_groups", 0);
  if (groups <= 0) fail(ErrorKind::corrupt, "num_groups must be positive, not {}", groups);
  return groups;
}

void require_whole_groups(int64_t channels, int64_t groups) {
  if (channels > 0 && channels % groups != 0) fail(ErrorKind::corrupt, "{} channels do not make {} groups", channels, groups);
}

void infer_group_normalization(Node& node) {
  infer_per_channel(node);
  const PartialShape& shape = node.output_info().shape;
  if (shape.rank_is_known()) require_whole_groups(shape[1], group_count(node));
}

/// MVN over groups of neighbouring channels, then a scale and a bias per channel. Inputs: data, scale, bias.
void evaluate_group_normalization(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  std::vector<double> scale = channel_values(context, 1), bias = channel_values(context, 2);
  int64_t count = group_count(context.node);
  require_whole_groups(input.shape()[1], count);
  Shape kept{input.shape()[0], count, 1};
  int64_t rest = element_count(kept) ? static_cast<int64_t>(input.size() / element_count(kept)) : 0;
  Groups groups({kept[0], count, rest}, kept);
  with_float_type(input.type(), "GroupNormalization", [&](auto zero) {
    using C = decltype(zero);
    Tensor values = to_compute<C>(input);
    const C* x = values.as<C>().data();
    std::vector<double> mean = means(groups, x);
    double eps = context.node.attributes().get_float("epsilon", 1e-5);
    Tensor out(values.type(), input.shape());
    standardize(groups, x, mean, inverse_deviations(variances(groups, x, mean), eps, true), out.as_mutable<C>().data());
    scale_channels(out.as_mutable<C>().data(), input.shape(), scale, bias);
    context.outputs[0] = convert(out, input.type());
  });
}

/// gamma * (x - mean) / sqrt(variance + epsilon) + beta. Inputs: data, gamma, beta, mean, variance.
void evaluate_batch_norm(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  std::vector<double> scale = channel_values(context, 1), shift = channel_values(context, 2);
  std::vector<double> mean = channel_values(context, 3), variance = channel_values(context, 4);
  double eps = context.node.attributes().get_float("epsilon", 1e-5);
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] /= std::sqrt(variance[c] + eps);
    shift[c] -= mean[c] * scale[c];
  }
  with_float_type(input.type(), "BatchNormInference", [&](auto zero) {
    using C = decltype(zero);
    Tensor out = to_compute<C>(input).clone();
    scale_channels(out.as_mutable<C>().data(), input.shape(), scale, shift);
    context.outputs[0] = convert(out, input.type());
  });
}

}  // namespace

std::span<const OpDef> normalization_ops() {
  static const std::vector<OpDef> ops{
      {"Softmax", {"opset1", "opset8"}, 1, 1, 1, infer_softmax, evaluate_softmax<false>},
      {"LogSoftmax", {"opset5"}, 1, 1, 1, infer_softmax, evaluate_softmax<true>},
      {"MVN", {"opset6"}, 2, 2, 1, infer_over_axes, evaluate_mvn},
      {"NormalizeL2", {"opset1"}, 2, 2, 1, infer_over_axes, evaluate_normalize_l2},
      {"GroupNormalization", {"opset12"}, 3, 3, 1, infer_group_normalization, evaluate_group_normalization},
      {"BatchNormInference", {"opset5"}, 5, 5, 1, infer_per_channel, evaluate_batch_norm},
  };
  return ops;
}

}  // namespace nibble
