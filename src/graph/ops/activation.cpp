#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/inference.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

struct Sigmoid {
  template <class C>
  C operator()(C x) const {
    return 1 / (1 + std::exp(-x));
  }
};

struct Relu {
  template <class C>
  C operator()(C x) const {
    return x > 0 ? x : 0;
  }
};

/// log(1 + exp(x)), written so that neither end overflows.
struct SoftPlus {
  template <class C>
  C operator()(C x) const {
    return std::max(x, C{0}) + std::log1p(std::exp(-std::fabs(x)));
  }
};

struct SoftSign {
  template <class C>
  C operator()(C x) const {
    return x / (1 + std::fabs(x));
  }
};

struct Mish {
  template <class C>
  C operator()(C x) const {
    return x * std::tanh(SoftPlus{}(x));
  }
};

struct HSigmoid {
  template <class C>
  C operator()(C x) const {
    return std::clamp(x + 3, C{0}, C{6}) / 6;
  }
};

struct HSwish {
  template <class C>
  C operator()(C x) const {
    return x * HSigmoid{}(x);
  }
};

struct Elu {
  double alpha;
  explicit Elu(const Attributes& attributes) : alpha(attributes.get_float("alpha", 1)) {}
  template <class C>
  C operator()(C x) const {
    return x < 0 ? static_cast<C>(alpha) * std::expm1(x) : x;
  }
};

/// Gaussian error linear unit, x * Phi(x), and its approximation by tanh (https://arxiv.org/abs/1606.08415).
struct Gelu {
  bool by_tanh;
  explicit Gelu(const Attributes& attributes) : by_tanh(attributes.equals("approximation_mode", "tanh", "erf")) {}
  template <class C>
  C operator()(C x) const {
    if (!by_tanh) return C(0.5) * x * (1 + std::erf(x / std::numbers::sqrt2_v<C>));
    C scale = std::numbers::sqrt2_v<C> * std::numbers::inv_sqrtpi_v<C>;
    return C(0.5) * x * (1 + std::tanh(scale * (x + C(0.044715) * x * x * x)));
  }
};

/// Bounds are rounded inwards for integers.
struct Clamp {
  double least, most;
  explicit Clamp(const Attributes& attributes)
      : least(attributes.get_float("min", -std::numeric_limits<double>::infinity())),
        most(attributes.get_float("max", std::numeric_limits<double>::infinity())) {
    if (!(least <= most)) fail(ErrorKind::corrupt, "Clamp needs min <= max, not {} and {}", least, most);
  }
  template <class C>
  static C bound(double value) {
    if (value >= static_cast<double>(std::numeric_limits<C>::max())) return std::numeric_limits<C>::max();
    return value <= static_cast<double>(std::numeric_limits<C>::lowest()) ? std::numeric_limits<C>::lowest() : static_cast<C>(value);
  }
  template <class C>
  C operator()(C x) const {
    if constexpr (std::is_floating_point_v<C>) return x < least ? static_cast<C>(least) : x > most ? static_cast<C>(most) : x;
    return std::min(std::max(x, bound<C>(std::ceil(least))), bound<C>(std::floor(most)));
  }
};

void infer_clamp(Node& node) {
  Clamp{node.attributes()};
  infer_like_input(node);
}

float scalar_input(const EvalContext& context, size_t i, float fallback) {
  if (i >= context.inputs.size()) return fallback;
  std::vector<float> values = to_floats(context.inputs[i]);
  if (values.size() != 1) fail(ErrorKind::corrupt, "input {} must be a scalar, not of shape {}", i, to_string(context.inputs[i].shape()));
  return values[0];
}

void infer_with_scalars(Node& node) {
  for (size_t i = 1; i < node.input_count(); ++i) require_rank_within(node.input(i).shape(), 0, 1, "a scalar input");
  infer_like_input(node);
}

/// evaluate of a function of one tensor and scalars: apply(x, second, third).
template <class Apply>
void map_with_scalars(EvalContext& context, float second_default, float third_default, Apply apply) {
  float second = scalar_input(context, 1, second_default);
  float third = scalar_input(context, 2, third_default);
  with_float_type(context.inputs[0].type(), context.node.type(), [&](auto zero) {
    using C = decltype(zero);
    context.outputs[0] = map<C>(context.inputs[0], [&](C x) { return apply(x, C(second), C(third)); });
  });
}

/// x * sigmoid(beta * x)
void evaluate_swish(EvalContext& context) {
  map_with_scalars(context, 1, 0, [](auto x, auto beta, auto) { return x / (1 + std::exp(-beta * x)); });
}

void evaluate_hard_sigmoid(EvalContext& context) {
  map_with_scalars(context, 0, 0,
                   [](auto x, auto alpha, auto beta) { return std::clamp(alpha * x + beta, decltype(x){0}, decltype(x){1}); });
}

void evaluate_selu(EvalContext& context) {
  map_with_scalars(context, 0, 0, [](auto x, auto alpha, auto lambda) { return lambda * (x > 0 ? x : alpha * std::expm1(x)); });
}

/// A slope per channel (dimension 1) when it is one-dimensional and as long; by the numpy rule otherwise.
Shape slope_shape(const Shape& data, const Shape& slope) {
  Shape channels(data.size(), 1);
  if (slope.size() != 1 || data.size() < 2 || data[1] != slope[0]) return slope;
  channels[1] = slope[0];
  return channels;
}

void infer_prelu(Node& node) {
  merge_types(node.input(0).type(), node.input(1).type());
  infer_like_input(node);
}

void evaluate_prelu(EvalContext& context) {
  const Tensor& data = context.inputs[0];
  Shape slopes = slope_shape(data.shape(), context.inputs[1].shape());
  if (broadcast_shapes(data.shape(), slopes) != PartialShape(data.shape()))
    fail(ErrorKind::corrupt, "PRelu: a slope of shape {} does not fit data of shape {}", to_string(slopes), to_string(data.shape()));
  with_float_type(data.type(), "PRelu", [&](auto zero) {
    using C = decltype(zero);
    Tensor x = to_compute<C>(data), slope = to_compute<C>(context.inputs[1]);
    Tensor out(x.type(), data.shape());
    BroadcastWalk<2> walk(data.shape(), {data.shape(), slopes});
    zip(walk, x.as<C>().data(), slope.as<C>().data(), out.as_mutable<C>().data(), [](C v, C s) { return v < 0 ? v * s : v; });
    context.outputs[0] = convert(out, data.type());
  });
}

template <class Op>
OpDef activation(std::string_view type, std::vector<std::string_view> opsets) {
  return {type, std::move(opsets), 1, 1, 1, infer_like_input, evaluate_float_map<Op>};
}

}  // namespace

std::span<const OpDef> activation_ops() {
  static const std::vector<OpDef> ops{
      activation<Sigmoid>("Sigmoid", {"opset1"}),
      {"Relu", {"opset1"}, 1, 1, 1, infer_like_input, evaluate_map<Relu>},
      activation<Gelu>("Gelu", {"opset2", "opset7"}),
      activation<SoftPlus>("SoftPlus", {"opset4"}),
      activation<SoftSign>("SoftSign", {"opset9"}),
      activation<Mish>("Mish", {"opset4"}),
      activation<HSwish>("HSwish", {"opset4"}),
      activation<HSigmoid>("HSigmoid", {"opset5"}),
      activation<Elu>("Elu", {"opset1"}),
      {"Clamp", {"opset1"}, 1, 1, 1, infer_clamp, evaluate_map<Clamp>},
      {"Swish", {"opset4"}, 1, 2, 1, infer_with_scalars, evaluate_swish},
      {"HardSigmoid", {"opset1"}, 3, 3, 1, infer_with_scalars, evaluate_hard_sigmoid},
      {"Selu", {"opset1"}, 3, 3, 1, infer_with_scalars, evaluate_selu},
      {"PRelu", {"opset1"}, 2, 2, 1, infer_prelu, evaluate_prelu},
  };
  return ops;
}

}  // namespace nibble
