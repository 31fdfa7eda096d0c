#include "device/cpu/lowering/lower_attention.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "device/cpu/lowering/token_checks.hpp"
#include "device/cpu/steps.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

void AttentionLowering::lower(Node& node) {
  require_tokens_third(node);
  Form q = builder_.form(node.input(0));
  auto heads = static_cast<size_t>(q.shape[1]);
  auto [keys, key_shape] = states_.find_cached(builder_.form(node.input(1)), heads);
  auto [values, value_shape] = states_.find_cached(builder_.form(node.input(2)), heads);
  KvLayer layer = layer_of(key_shape, value_shape);
  AttentionParameters parameters = parameters_of(node, heads, static_cast<size_t>(q.shape[3]));
  MaskKind mask = mask_of(node, heads, parameters.scale);
  parameters.window = mask.window;
  parameters.slope_unit = mask.slope_unit;
  std::vector<float> sinks = sinks_of(node, heads);
  Plan& plan = builder_.plan();
  plan.kv_layers.push_back(layer);
  View out = builder_.new_result(node.output(), {1, q.shape[1], 1, value_shape[3]});
  View queries = builder_.view(node, q);
  builder_.emit(node, std::make_unique<AttentionStep>(parameters, mask.slopes, std::move(sinks), queries, keys, values, out));
  plan.rows_selected_before = plan.steps.size();
}

void AttentionLowering::require_tokens_third(Node& node) {
  for (size_t i : {0, 1, 2}) {
    const Shape& shape = builder_.form(node.input(i)).shape;
    if (shape.size() != 4 || shape[0] != 1 || shape[2] != 1 || element_count(shape) == 0)
      fail(ErrorKind::unsupported, "queries, keys or values of shape {} for one token", nibble::to_string(shape));
  }
  for (size_t i : {0, 1, 2})
    if (token_axis(builder_, node.input(i)).axis != 2)
      fail(ErrorKind::unsupported, "tokens are not the third dimension of queries, keys and values");
}

KvLayer AttentionLowering::layer_of(const Shape& keys, const Shape& values) const {
  if (keys[1] != values[1]) fail(ErrorKind::unsupported, "{} heads of keys, {} of values", keys[1], values[1]);
  return {static_cast<size_t>(keys[1]), static_cast<size_t>(keys[3]), static_cast<size_t>(values[3])};
}

AttentionParameters AttentionLowering::parameters_of(Node& node, size_t heads, size_t dimensions) {
  AttentionParameters parameters;
  parameters.layer = builder_.plan().kv_layers.size();
  parameters.heads = heads;
  parameters.scale = node.input_count() > 4 ? scale_of(node.input(4)) : 1 / std::sqrt(static_cast<float>(dimensions));
  parameters.softcap = static_cast<float>(node.attributes().get_float("softcap", 0));
  return parameters;
}

float AttentionLowering::scale_of(Value value) {
  const Meaning& meaning = builder_.operand(value);
  if (meaning.form || meaning.known.size() != 1)
    fail(ErrorKind::unsupported, "{}: a scale of attention that is not one number", describe(*value.node));
  return to_floats(meaning.known)[0];
}

std::vector<float> AttentionLowering::sinks_of(const Node& node, size_t heads) {
  if (node.input_count() <= 5) return {};
  std::vector<float> sinks = builder_.constants().floats(node.input(5));
  if (sinks.size() == 1) sinks.resize(heads, sinks[0]);
  if (sinks.size() != heads) fail(ErrorKind::unsupported, "{} sinks for {} heads", sinks.size(), heads);
  return sinks;
}

MaskKind AttentionLowering::mask_of(const Node& node, size_t heads, float scale) {
  if (node.attributes().get_bool("causal", false)) return {};
  if (node.input_count() < 4) fail(ErrorKind::unsupported, "attention without a mask");
  Value mask = node.input(3);
  if (!builder_.is_positional(mask)) fail(ErrorKind::unsupported, "a mask that depends on more than positions");
  auto key = std::pair{mask.node, mask.index};
  auto known = masks_.find(key);
  if (known == masks_.end()) known = masks_.emplace(key, classify_mask(mask, heads, scale, builder_.positional())).first;
  return known->second;
}

}  // namespace nibble::cpu
