#include "passes/fuse_attention.hpp"

#include <fmt/format.h>

#include <optional>

#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// softcap * tanh(scale * q k^T / softcap), or scale * q k^T where softcap is 0.
struct Scores {
  Value query, key;
  float scale = 1, softcap = 0;
};

/// The number that a constant of one element holds.
std::optional<float> number(Value value) {
  while (value.node->is("Convert") || value.node->is("Reshape")) value = value.node->input(0);
  if (!value.node->is("Constant") || element_count(value.node->constant().shape()) != 1) return std::nullopt;
  return to_floats(value.node->constant().tensor()).at(0);
}

bool is_transposed_key(Value value) {
  if (!value.node->is("Transpose") || !value.node->input(1).node->is("Constant")) return false;
  return to_int64s(value.node->input(1).node->constant().tensor()) == std::vector<int64_t>{0, 1, 3, 2};
}

/// Goes through products with numbers, which it multiplies `factor` with.
Value behind_factors(Value value, float& factor) {
  for (;;) {
    const Node& node = *value.node;
    if (node.is("Multiply")) {
      auto left = number(node.input(0)), right = number(node.input(1));
      if (!left && !right) return value;
      factor *= left ? *left : *right;
      value = node.input(left ? 1 : 0);
    } else if (node.is("Divide") && number(node.input(1))) {
      factor /= *number(node.input(1));
      value = node.input(0);
    } else {
      return value;
    }
  }
}

std::optional<Scores> match_product(Value value, float factor) {
  const Node& node = *value.node;
  if (!node.is("MatMul") || node.attributes().get_bool("transpose_a", false)) return std::nullopt;
  Scores scores;
  scores.query = node.input(0), scores.key = node.input(1), scores.scale = factor;
  if (!node.attributes().get_bool("transpose_b", false)) {
    if (!is_transposed_key(scores.key)) return std::nullopt;
    scores.key = scores.key.node->input(0);
  }
  scores.query = behind_factors(scores.query, scores.scale);
  scores.key = behind_factors(scores.key, scores.scale);
  bool four = scores.query.shape().rank_is_known() && scores.query.shape().rank() == 4 && scores.key.shape().rank_is_known() &&
              scores.key.shape().rank() == 4;
  return four ? std::optional(scores) : std::nullopt;
}

std::optional<Scores> match_scores(Value value) {
  float outer = 1, inner = 1;
  value = behind_factors(value, outer);
  if (!value.node->is("Tanh")) return match_product(value, outer);
  Value product = behind_factors(value.node->input(0), inner);
  auto scores = match_product(product, inner);
  if (!scores || outer <= 0) return std::nullopt;
  scores->softcap = outer;
  scores->scale *= outer;
  return scores;
}

struct Attention {
  Scores scores;
  Value mask, value;
};

std::optional<Attention> match_attention(const Node& product) {
  if (!product.is("MatMul") || product.attributes().get_bool("transpose_a", false) || product.attributes().get_bool("transpose_b", false))
    return std::nullopt;
  Value weights = product.input(0);
  while (weights.node->is("Convert")) weights = weights.node->input(0);
  if (!weights.node->is("Softmax") || !weights.shape().rank_is_known()) return std::nullopt;
  int64_t axis = weights.node->attributes().get_int("axis", 1), rank = static_cast<int64_t>(weights.shape().rank());
  if (axis != -1 && axis != rank - 1) return std::nullopt;
  Value masked = weights.node->input(0);
  if (!masked.node->is("Add")) return std::nullopt;
  for (size_t side : {0, 1})
    if (auto scores = match_scores(masked.node->input(side))) return Attention{*scores, masked.node->input(1 - side), product.input(1)};
  return std::nullopt;
}

}  // namespace

void fuse_attention(Graph& graph) {
  bool changed = false;
  for (Node* node : graph.of_type("MatMul")) {
    auto found = match_attention(*node);
    if (!found) continue;
    Attributes attributes{{"causal", "false"}};
    if (found->scores.softcap != 0) attributes.set("softcap", fmt::format("{}", found->scores.softcap));
    Value scale = graph.add_constant(Tensor::scalar(found->scores.scale)).output();
    std::vector<Value> inputs{found->scores.query, found->scores.key, found->value, found->mask, scale};
    Node& attention = graph.add("ScaledDotProductAttention", std::move(inputs), std::move(attributes), node->name() + "/attention");
    graph.replace_uses(node->output(), attention.output());
    changed = true;
  }
  if (changed) graph.remove_unused();
}

}  // namespace nibble
