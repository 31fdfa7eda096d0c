#include "calibrate/kernel_ops.hpp"

#include <optional>

#include "calibrate/causal_attention.hpp"
#include "device/cpu/kernels/row_ops.hpp"

namespace nibble {

namespace {

bool activate(EvalContext& context, cpu::Activation activation, const cpu::RowOps& ops) {
  const Tensor& input = context.inputs[0];
  if (context.inputs.size() != 1 || input.type() != ElementType::f32) return false;
  Tensor out = Tensor::uninitialized(ElementType::f32, input.shape());
  ops.activate(activation, input.as<float>().data(), input.size(), out.as_mutable<float>().data());
  context.outputs[0] = std::move(out);
  return true;
}

std::optional<cpu::Activation> activation_of(const Node& node) {
  if (node.is("Swish")) return cpu::Activation::silu;
  if (node.is("Sigmoid")) return cpu::Activation::sigmoid;
  if (!node.is("Gelu")) return std::nullopt;
  return node.attributes().equals("approximation_mode", "tanh", "erf") ? cpu::Activation::gelu_tanh : cpu::Activation::gelu_erf;
}

}  // namespace

KernelOp find_kernel_op(const Node& node) {
  cpu::Isa isa = cpu::selected_isa();
  if (node.is("ScaledDotProductAttention")) return [isa](EvalContext& context) { return attend_causally(context, isa); };
  if (auto activation = activation_of(node))
    return [activation, &ops = cpu::row_ops(isa)](EvalContext& context) { return activate(context, *activation, ops); };
  return {};
}

}  // namespace nibble
