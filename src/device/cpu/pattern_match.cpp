#include "device/cpu/pattern_match.hpp"

#include <algorithm>

namespace nibble::cpu {

namespace {

bool is_last_axis(Value axes, const PartialShape& shape, ConstantValues& constants) {
  if (!constants.is_constant(axes) || !shape.rank_is_known()) return false;
  std::vector<int64_t> values = constants.integers(axes);
  auto rank = static_cast<int64_t>(shape.rank());
  return values.size() == 1 && (values[0] == -1 || values[0] == rank - 1);
}

bool is_single_use(Value value) { return value.node->uses(value.index).size() == 1; }

bool is_constant_one(Value value, ConstantValues& constants) {
  float one = 0;
  return constants.is_uniform(value, one) && one == 1;
}

/// The input of a commutative operation for which `test` holds, first; and the other one.
template <class Test>
std::optional<std::pair<Value, Value>> split(const Node& node, const Test& test) {
  for (size_t i : {0, 1})
    if (test(node.input(i))) return std::pair{node.input(i), node.input(1 - i)};
  return std::nullopt;
}

/// sqrt(mean(x^2) + epsilon): gives x and epsilon.
std::optional<NormMatch> match_root_mean_square(Value sum, ConstantValues& constants) {
  if (!sum.node->is("Add")) return std::nullopt;
  NormMatch match;
  auto parts = split(*sum.node, [&](Value v) { return constants.is_uniform(v, match.epsilon); });
  if (!parts || !parts->second.node->is("ReduceMean")) return std::nullopt;
  const Node& mean = *parts->second.node;
  const Node& square = *mean.input(0).node;
  if (!mean.attributes().get_bool("keep_dims", false) || !is_last_axis(mean.input(1), mean.input(0).shape(), constants))
    return std::nullopt;
  float two = 0;
  bool is_power = square.is("Power") && constants.is_uniform(square.input(1), two) && two == 2;
  bool is_product = square.is("Multiply") && square.input(0) == square.input(1);
  if (!is_power && !is_product) return std::nullopt;
  match.x = square.input(0);
  return match;
}

/// 1 / sqrt(mean(x^2) + epsilon)
std::optional<NormMatch> match_inverse_rms(Value value, ConstantValues& constants) {
  const Node& node = *value.node;
  if (node.is("Divide") && is_constant_one(node.input(0), constants) && node.input(1).node->is("Sqrt"))
    return match_root_mean_square(node.input(1).node->input(0), constants);
  float exponent = 0;
  if (node.is("Power") && constants.is_uniform(node.input(1), exponent)) {
    if (exponent == -0.5f) return match_root_mean_square(node.input(0), constants);
    if (exponent == -1 && node.input(0).node->is("Sqrt")) return match_root_mean_square(node.input(0).node->input(0), constants);
  }
  return std::nullopt;
}

std::optional<NormMatch> match_plain_rms(Value value, ConstantValues& constants) {
  const Node& node = *value.node;
  if (node.is("Divide") && node.input(1).node->is("Sqrt")) {
    auto match = match_root_mean_square(node.input(1).node->input(0), constants);
    if (match && match->x == node.input(0)) return match;
  }
  if (!node.is("Multiply")) return std::nullopt;
  for (size_t i : {0, 1}) {
    auto match = match_inverse_rms(node.input(i), constants);
    if (match && match->x == node.input(1 - i)) return match;
  }
  return std::nullopt;
}

std::optional<NormMatch> match_mvn(Value value, ConstantValues& constants) {
  const Node& node = *value.node;
  if (!node.is("MVN") || node.input_count() != 2 || !node.attributes().get_bool("normalize_variance", true)) return std::nullopt;
  if (!node.attributes().equals("eps_mode", "inside_sqrt", "inside_sqrt")) return std::nullopt;
  if (!is_last_axis(node.input(1), node.input(0).shape(), constants)) return std::nullopt;
  NormMatch match;
  match.is_layer_norm = true;
  match.x = node.input(0);
  match.epsilon = static_cast<float>(node.attributes().get_float("eps", 0));
  return match;
}

/// A constant vector along the last dimension of `like`, or one number.
bool is_vector(Value value, Value like, ConstantValues& constants) {
  if (!constants.is_constant(value) || !like.shape().rank_is_known() || like.shape().rank() == 0 || !value.shape().is_static())
    return false;
  size_t count = element_count(value.shape().dims());
  const Shape& dims = value.shape().dims();
  return count == 1 ||
         (static_cast<int64_t>(count) == like.shape().dims().back() && !dims.empty() && dims.back() == static_cast<int64_t>(count));
}

std::optional<NormMatch> match_unweighted(Value value, ConstantValues& constants) {
  auto match = match_plain_rms(value, constants);
  return match ? match : match_mvn(value, constants);
}

std::optional<NormMatch> match_weighted(Value value, ConstantValues& constants) {
  if (value.node->is("Multiply")) {
    auto parts = split(*value.node, [&](Value v) { return is_vector(v, value, constants); });
    if (parts) {
      auto match = match_unweighted(parts->second, constants);
      if (match) {
        match->weight = parts->first;
        return match;
      }
    }
  }
  return match_unweighted(value, constants);
}

}  // namespace

std::optional<NormMatch> match_norm(Value value, ConstantValues& constants) {
  if (value.node->is("Add")) {
    auto parts = split(*value.node, [&](Value v) { return is_vector(v, value, constants); });
    if (!parts || !is_single_use(parts->second)) return std::nullopt;
    auto match = match_weighted(parts->second, constants);
    if (!match || !match->is_layer_norm) return std::nullopt;
    match->bias = parts->first;
    return match;
  }
  return match_weighted(value, constants);
}

std::optional<ActivationMatch> match_activation(Value value, ConstantValues& constants) {
  const Node& node = *value.node;
  auto found = [&](Activation activation) { return ActivationMatch{activation, node.input(0)}; };
  if (node.is("Swish")) {
    float beta = 1;
    if (node.input_count() > 1 && !constants.is_uniform(node.input(1), beta)) return std::nullopt;
    if (beta != 1) return std::nullopt;
    return found(Activation::silu);
  }
  if (node.is("Gelu"))
    return found(node.attributes().equals("approximation_mode", "tanh", "erf") ? Activation::gelu_tanh : Activation::gelu_erf);
  if (node.is("Relu")) return found(Activation::relu);
  if (node.is("Sigmoid")) return found(Activation::sigmoid);
  if (node.is("Tanh")) return found(Activation::tanh);
  if (node.is("Exp")) return found(Activation::exp);
  return std::nullopt;
}

std::optional<GatedMatch> match_gated(Value value, ConstantValues& constants) {
  const Node& node = *value.node;
  if (!node.is("Multiply")) return std::nullopt;
  for (size_t i : {0, 1}) {
    Value gate = node.input(i), up = node.input(1 - i);
    if (constants.is_constant(up) || !is_single_use(gate) || gate.shape() != up.shape()) continue;
    auto activation = match_activation(gate, constants);
    if (activation) return GatedMatch{activation->activation, activation->x, up};
  }
  return std::nullopt;
}

namespace {

std::optional<LinearMatch> match_matmul(Value value, ConstantValues& constants) {
  Node& node = *value.node;
  if (!node.is("MatMul") || constants.is_constant(node.input(0)) || !constants.is_constant(node.input(1))) return std::nullopt;
  if (node.attributes().get_bool("transpose_a", false)) return std::nullopt;
  const PartialShape& shape = node.input(1).shape();
  if (!shape.rank_is_known() || shape.rank() < 2) return std::nullopt;
  for (size_t i = 0; i + 2 < shape.rank(); ++i)
    if (shape[i] != 1) return std::nullopt;
  return LinearMatch{&node, node.input(0), node.input(1), {}};
}

}  // namespace

std::optional<LinearMatch> match_linear(Value value, ConstantValues& constants) {
  if (!value.node->is("Add")) return match_matmul(value, constants);
  for (size_t i : {0, 1}) {
    Value product = value.node->input(i), bias = value.node->input(1 - i);
    auto match = match_matmul(product, constants);
    if (!match || !is_single_use(product) || !is_vector(bias, product, constants)) continue;
    match->bias = bias;
    return match;
  }
  return std::nullopt;
}

}  // namespace nibble::cpu
