#include "device/cpu/lowering/token_checks.hpp"

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

SeparableInput separable(PlanBuilder& builder, Value value) {
  const Meaning& meaning = builder.meaning(value);
  if (meaning.form && meaning.state.empty()) return {token_axis(builder, value), value.type(), {}, {}};
  if (meaning.form) {
    Tensor nothing(ElementType::f32, meaning.form->shape);
    return {std::nullopt, value.type(), nothing, nothing};
  }
  return {std::nullopt, value.type(), meaning.known, builder.is_positional(value) ? builder.evaluate(value, {2, 0}) : meaning.known};
}

}  // namespace

TokenAxis token_axis(PlanBuilder& builder, Value value) {
  auto found = builder.axes().find(value);
  if (!found) fail(ErrorKind::unsupported, "{}: its tokens are not one of its dimensions", describe(*value.node));
  return *found;
}

void require_token_axes(PlanBuilder& builder, Node& node) {
  if (!builder.is_defined(node)) return;
  for (size_t i = 0; i < node.output_count(); ++i) {
    const Meaning& meaning = builder.meaning(node.output(i));
    if (meaning.form && meaning.state.empty() && element_count(meaning.form->shape) != 0) token_axis(builder, node.output(i));
  }
}

void require_tokens_before_last(PlanBuilder& builder, Value value) {
  if (token_axis(builder, value).from_back() == 0) fail(ErrorKind::unsupported, "it goes over tokens");
}

void require_aligned(PlanBuilder& builder, Node& node, const std::vector<Value>& inputs) {
  size_t tokens = token_axis(builder, node.output()).from_back();
  for (Value value : inputs)
    if (builder.meaning(value).form && token_axis(builder, value).from_back() != tokens)
      fail(ErrorKind::unsupported, "tokens meet other tokens");
}

void require_separable(PlanBuilder& builder, const Node& node) {
  std::vector<SeparableInput> inputs;
  for (Value value : node.inputs()) inputs.push_back(separable(builder, value));
  if (!keeps_tokens_apart(node, inputs, builder.threads())) fail(ErrorKind::unsupported, "it mixes tokens");
}

}  // namespace nibble::cpu
