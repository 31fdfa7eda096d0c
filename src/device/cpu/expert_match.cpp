#include "device/cpu/expert_match.hpp"

#include <array>

namespace nibble::cpu {

namespace {

std::optional<ExpertProduct> match_matmul(const Node& node, ConstantValues& constants) {
  bool is_product = node.is("MatMul") && constants.is_constant(node.input(1)) && node.attributes().get_bool("transpose_b", false) &&
                    !node.attributes().get_bool("transpose_a", false);
  if (!is_product) return std::nullopt;
  return ExpertProduct{node.input(0), node.input(1), {}};
}

/// The bias of a stack of matrices is [experts, 1, rows], that of one [rows] behind ones.
bool is_bias_of(Value bias, const ExpertProduct& product, ConstantValues& constants) {
  if (!constants.is_constant(bias) || !bias.shape().is_static() || !product.weight.shape().is_static()) return false;
  const Shape &shape = bias.shape().dims(), &weight = product.weight.shape().dims();
  if (shape.empty() || weight.size() < 2 || shape.back() != weight[weight.size() - 2]) return false;
  int64_t experts = weight.size() == 3 ? weight[0] : 1;
  bool in_order = experts == 1 || (shape.size() == 3 && shape[0] == experts);
  return in_order && element_count(shape) == static_cast<size_t>(experts * shape.back());
}

std::optional<ExpertProduct> match_product(Value value, ConstantValues& constants) {
  const Node& node = *value.node;
  if (!node.is("Add")) return match_matmul(node, constants);
  for (size_t i : {0, 1}) {
    auto product = match_matmul(*node.input(i).node, constants);
    if (!product || !is_bias_of(node.input(1 - i), *product, constants)) continue;
    product->bias = node.input(1 - i);
    return product;
  }
  return std::nullopt;
}

/// The other input of a commutative operation that has a constant number as one.
std::optional<Value> beside_number(const Node& node, ConstantValues& constants, float& number) {
  for (size_t i : {0, 1})
    if (constants.is_uniform(node.input(i), number)) return node.input(1 - i);
  return std::nullopt;
}

/// clamp(x, -limit, limit) + 1: gives x.
std::optional<Value> match_clamped_up(Value value, ConstantValues& constants, float& limit) {
  float one = 0;
  if (!value.node->is("Add")) return std::nullopt;
  auto clamp = beside_number(*value.node, constants, one);
  if (!clamp || one != 1 || !clamp->node->is("Clamp")) return std::nullopt;
  const Attributes& attributes = clamp->node->attributes();
  limit = static_cast<float>(attributes.get_float("max", 0));
  if (static_cast<float>(attributes.get_float("min", 0)) != -limit) return std::nullopt;
  return clamp->node->input(0);
}

/// x * sigmoid(slope * x): gives x.
std::optional<Value> match_swish(Value value, ConstantValues& constants, float& slope) {
  const Node& node = *value.node;
  slope = 1;
  if (node.is("Swish")) {
    if (node.input_count() > 1 && !constants.is_uniform(node.input(1), slope)) return std::nullopt;
    return node.input(0);
  }
  if (!node.is("Multiply")) return std::nullopt;
  for (size_t i : {0, 1}) {
    const Node& sigmoid = *node.input(i).node;
    if (!sigmoid.is("Sigmoid") || !sigmoid.input(0).node->is("Multiply")) continue;
    auto x = beside_number(*sigmoid.input(0).node, constants, slope);
    if (x && *x == node.input(1 - i)) return x;
  }
  return std::nullopt;
}

/// min(x, limit): gives x.
std::optional<Value> match_minimum(Value value, ConstantValues& constants, float& limit) {
  const Node& node = *value.node;
  if (node.is("Minimum")) return beside_number(node, constants, limit);
  if (!node.is("Clamp") || node.attributes().get_float("min", 0) > -3e38) return std::nullopt;
  limit = static_cast<float>(node.attributes().get_float("max", 0));
  return node.input(0);
}

/// Every second column of the last dimension from `first` on: gives what they are taken from.
std::optional<Value> match_every_second(Value value, int64_t first, ConstantValues& constants) {
  const Node& slice = *value.node;
  if (!slice.is("Slice") || slice.input_count() != 5 || !slice.input(0).shape().rank_is_known()) return std::nullopt;
  std::array<int64_t, 4> numbers{};  // begin, end, step, axis
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!constants.is_constant(slice.input(i + 1))) return std::nullopt;
    std::vector<int64_t> values = constants.integers(slice.input(i + 1));
    if (values.size() != 1) return std::nullopt;
    numbers[i] = values[0];
  }
  const PartialShape& shape = slice.input(0).shape();
  auto rank = static_cast<int64_t>(shape.rank());
  bool is_last = rank > 0 && (numbers[3] == -1 || numbers[3] == rank - 1);
  if (!is_last || numbers[0] != first || numbers[2] != 2 || numbers[1] < shape[shape.rank() - 1]) return std::nullopt;
  return slice.input(0);
}

std::optional<ExpertMatch> match_clamped(Value hidden, ConstantValues& constants) {
  if (!hidden.node->is("Multiply")) return std::nullopt;
  ExpertMatch match;
  ClampedGate clamped;
  for (size_t i : {0, 1}) {
    float limit = 0;
    auto up = match_clamped_up(hidden.node->input(i), constants, clamped.limit);
    auto bounded = up ? match_swish(hidden.node->input(1 - i), constants, clamped.slope) : std::nullopt;
    auto gate = bounded ? match_minimum(*bounded, constants, limit) : std::nullopt;
    if (!gate || limit != clamped.limit || clamped.slope == 0) continue;
    auto even = match_every_second(*gate, 0, constants), odd = match_every_second(*up, 1, constants);
    match.is_interleaved = even && odd && *even == *odd;
    auto first = match_product(match.is_interleaved ? *even : *gate, constants);
    auto second = match.is_interleaved ? std::optional<ExpertProduct>(ExpertProduct{}) : match_product(*up, constants);
    if (!first || !second) continue;
    match.gate = *first;
    match.up = *second;
    match.clamped = clamped;
    return match;
  }
  return std::nullopt;
}

std::optional<ExpertMatch> match_plain(Value hidden, ConstantValues& constants) {
  auto gated = match_gated(hidden, constants);
  if (!gated) return std::nullopt;
  auto gate = match_product(gated->gate, constants), up = match_product(gated->up, constants);
  if (!gate || !up) return std::nullopt;
  ExpertMatch match;
  match.gate = *gate;
  match.up = *up;
  match.activation = gated->activation;
  return match;
}

}  // namespace

std::optional<ExpertMatch> match_expert(Value value, ConstantValues& constants) {
  auto down = match_product(value, constants);
  if (!down) return std::nullopt;
  auto match = match_plain(down->x, constants);
  if (!match) match = match_clamped(down->x, constants);
  if (!match || (!match->is_interleaved && !(match->gate.x == match->up.x))) return std::nullopt;
  match->down = *down;
  return match;
}

}  // namespace nibble::cpu
