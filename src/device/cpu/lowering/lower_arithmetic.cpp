#include "device/cpu/lowering/lower_arithmetic.hpp"

#include "device/cpu/selection_steps.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

std::optional<BinaryStep::Kind> binary_kind(const Node& node) {
  using Kind = BinaryStep::Kind;
  if (node.is("Add")) return Kind::add;
  if (node.is("Subtract")) return Kind::subtract;
  if (node.is("Multiply")) return Kind::multiply;
  if (node.is("Divide")) return Kind::divide;
  if (node.is("Minimum")) return Kind::minimum;
  if (node.is("Maximum")) return Kind::maximum;
  if (node.is("Greater")) return Kind::greater;
  return std::nullopt;
}

BinaryStep::Operand broadcast_operand(PlanBuilder& builder, const Node& node, const Meaning& meaning, const Shape& shape) {
  BinaryStep::Operand made;
  if (meaning.form)
    made.view = builder.view(node, *meaning.form);
  else
    made.constant = to_floats(meaning.known);
  if (element_count(meaning.shape()) != element_count(shape)) made.index = broadcast_indices(meaning.shape(), shape);
  return made;
}

void lower_binary(PlanBuilder& builder, Node& node, BinaryStep::Kind kind, const Meaning& a, const Meaning& b) {
  Shape shape = broadcast_shape(a.shape(), b.shape());
  BinaryStep::Operand left = broadcast_operand(builder, node, a, shape), right = broadcast_operand(builder, node, b, shape);
  View out = builder.new_result(node.output(), std::move(shape));
  builder.emit(node, std::make_unique<BinaryStep>(kind, std::move(left), std::move(right), out));
}

/// The larger one of x and -x.
void lower_abs(PlanBuilder& builder, Node& node) {
  Meaning x = builder.operand(node.input(0)), minus = x;
  minus.form = negated(*x.form);
  lower_binary(builder, node, BinaryStep::Kind::maximum, x, minus);
}

void lower_select(PlanBuilder& builder, Node& node) {
  Shape shape;
  std::vector<BinaryStep::Operand> operands;
  std::vector<Meaning> meanings;
  for (Value value : node.inputs()) {
    meanings.push_back(builder.operand(value));
    shape = broadcast_shape(shape, meanings.back().shape());
  }
  for (const Meaning& meaning : meanings) operands.push_back(broadcast_operand(builder, node, meaning, shape));
  View out = builder.new_result(node.output(), std::move(shape));
  builder.emit(node, std::make_unique<SelectStep>(operands[0], operands[1], operands[2], out));
}

std::optional<Form> product_form(const PlanBuilder& builder, const Node& node, const Meaning& a, const Meaning& b) {
  if (!a.form) return scaled(*b.form, a.known);
  if (!b.form) return scaled(*a.form, b.known);
  bool is_a_positional = builder.is_positional(node.input(0)), is_b_positional = builder.is_positional(node.input(1));
  if (is_a_positional == is_b_positional) return std::nullopt;
  return is_b_positional ? multiplied(*a.form, *b.form) : multiplied(*b.form, *a.form);
}

/// Products with constants and with positions, and sums of such products, stay forms.
std::optional<Form> as_form(PlanBuilder& builder, const Node& node, const Meaning& a, const Meaning& b) {
  if (node.is("Multiply")) return product_form(builder, node, a, b);
  float divisor = 0;
  if (node.is("Divide")) {
    if (b.form || !builder.constants().is_uniform(node.input(1), divisor)) return std::nullopt;
    return scaled(*a.form, Tensor::scalar(1 / divisor));
  }
  if (!node.is("Add") && !node.is("Subtract")) return std::nullopt;
  if (!a.form || !b.form || !(a.form->has_multiplier() || b.form->has_multiplier())) return std::nullopt;
  if (a.form->terms.size() + b.form->terms.size() > 2) return std::nullopt;
  return sum(*a.form, node.is("Subtract") ? negated(*b.form) : *b.form);
}

void lower_two(PlanBuilder& builder, ProductLowering& products, Node& node, BinaryStep::Kind kind) {
  Meaning a = builder.operand(node.input(0)), b = builder.operand(node.input(1));
  if (node.is("Add") && products.lower_residual(node)) return;
  if (auto form = as_form(builder, node, a, b))
    builder.define(node.output(), std::move(*form));
  else
    lower_binary(builder, node, kind, a, b);
}

}  // namespace

bool lower_arithmetic(PlanBuilder& builder, ProductLowering& products, Node& node) {
  if (auto kind = binary_kind(node))
    lower_two(builder, products, node, *kind);
  else if (node.is("Abs"))
    lower_abs(builder, node);
  else if (node.is("Select"))
    lower_select(builder, node);
  else
    return false;
  return true;
}

}  // namespace nibble::cpu
