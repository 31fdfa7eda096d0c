#include <cmath>
#include <functional>

#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/inference.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

PartialShape broadcast_inputs(const Node& node) {
  return broadcast_shapes(node.input(0).shape(), node.input(1).shape(), AutoBroadcast(node.attributes()));
}

void infer_predicate(Node& node) {
  merge_types(node.input(0).type(), node.input(1).type());
  node.output_info().type = ElementType::boolean;
  node.output_info().shape = broadcast_inputs(node);
}

/// Applies `op` to two tensors read as C; the result holds Out.
template <class C, class Out, class Op>
Tensor combine(const EvalContext& context, Op op) {
  const Tensor& a = context.inputs[0];
  const Tensor& b = context.inputs[1];
  AutoBroadcast broadcast(context.node.attributes());
  Shape shape = broadcast_shapes(a.shape(), b.shape(), broadcast).dims();
  BroadcastWalk<2> walk(shape, {a.shape(), align_shape(b.shape(), shape.size(), broadcast).dims()});
  Tensor left = to_compute<C>(a), right = to_compute<C>(b);
  Tensor out = make_output(element_type_of<Out>::value, shape);
  zip(walk, left.as<C>().data(), right.as<C>().data(), out.as_mutable<Out>().data(), op);
  return out;
}

template <class Op>
void evaluate_comparison(EvalContext& context) {
  ElementType type = merge_types(context.inputs[0].type(), context.inputs[1].type());
  with_compute_type(type, [&](auto zero) { context.outputs[0] = combine<decltype(zero), bool>(context, Op{}); });
}

void require_booleans(const Node& node) {
  for (Value input : node.inputs()) merge_types(input.type(), ElementType::boolean);
}

void infer_logic(Node& node) {
  require_booleans(node);
  infer_predicate(node);
}

/// Reads booleans as integers: a byte of a file need not be 0 or 1.
template <class Op>
void evaluate_logic(EvalContext& context) {
  context.outputs[0] = combine<int64_t, bool>(context, [](int64_t a, int64_t b) { return Op{}(a != 0, b != 0); });
}

void infer_not(Node& node) {
  require_booleans(node);
  infer_like_input(node);
}

void evaluate_not(EvalContext& context) {
  context.outputs[0] = map<int64_t>(context.inputs[0], [](int64_t x) { return static_cast<int64_t>(x == 0); });
}

void require_bits(ElementType type) {
  if (type != ElementType::dynamic && type != ElementType::boolean && !is_integer(type))
    fail(ErrorKind::corrupt, "bitwise operations take integers or booleans, not {}", to_string(type));
}

void infer_bitwise(Node& node) {
  node.output_info().type = merge_types(node.input(0).type(), node.input(1).type());
  require_bits(node.output_info().type);
  node.output_info().shape = broadcast_inputs(node);
}

template <class Op>
void evaluate_bitwise(EvalContext& context) {
  ElementType type = merge_types(context.inputs[0].type(), context.inputs[1].type());
  require_bits(type);
  context.outputs[0] = convert(combine<int64_t, int64_t>(context, Op{}), type);
}

void infer_bitwise_not(Node& node) {
  infer_like_input(node);
  require_bits(node.output_info().type);
}

void evaluate_bitwise_not(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  require_bits(input.type());
  if (input.type() == ElementType::boolean) return evaluate_not(context);
  context.outputs[0] = map<int64_t>(input, [](int64_t x) { return ~x; });
}

void infer_classification(Node& node) {
  infer_like_input(node);
  node.output_info().type = ElementType::boolean;
}

template <class Op>
void evaluate_classification(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  Op op = make_functor<Op>(context.node.attributes());
  with_float_type(input.type(), context.node.type(), [&](auto zero) {
    using C = decltype(zero);
    Tensor values = to_compute<C>(input);
    Tensor out(ElementType::boolean, input.shape());
    std::transform(values.as<C>().begin(), values.as<C>().end(), out.as_mutable<bool>().begin(), op);
    context.outputs[0] = out;
  });
}

struct IsNaN {
  bool operator()(auto x) const { return std::isnan(x); }
};
struct IsFinite {
  bool operator()(auto x) const { return std::isfinite(x); }
};
struct IsInf {
  bool negative, positive;
  explicit IsInf(const Attributes& attributes)
      : negative(attributes.get_bool("detect_negative", true)), positive(attributes.get_bool("detect_positive", true)) {}
  bool operator()(auto x) const { return std::isinf(x) && (x < 0 ? negative : positive); }
};

template <class Op>
OpDef comparison(std::string_view type) {
  return {type, {"opset1"}, 2, 2, 1, infer_predicate, evaluate_comparison<Op>};
}

template <class Op>
OpDef logic(std::string_view type, std::vector<std::string_view> opsets = {"opset1"}) {
  return {type, std::move(opsets), 2, 2, 1, infer_logic, evaluate_logic<Op>};
}

template <class Op>
OpDef bitwise(std::string_view type) {
  return {type, {"opset13"}, 2, 2, 1, infer_bitwise, evaluate_bitwise<Op>};
}

template <class Op>
OpDef classification(std::string_view type) {
  return {type, {"opset10"}, 1, 1, 1, infer_classification, evaluate_classification<Op>};
}

}  // namespace

std::span<const OpDef> logic_ops() {
  static const std::vector<OpDef> ops{
      comparison<std::equal_to<>>("Equal"),
      comparison<std::not_equal_to<>>("NotEqual"),
      comparison<std::less<>>("Less"),
      comparison<std::less_equal<>>("LessEqual"),
      comparison<std::greater<>>("Greater"),
      comparison<std::greater_equal<>>("GreaterEqual"),
      logic<std::logical_and<>>("LogicalAnd"),
      logic<std::logical_or<>>("LogicalOr"),
      logic<std::not_equal_to<>>("LogicalXor", {"opset1", "opset2"}),
      {"LogicalNot", {"opset1"}, 1, 1, 1, infer_not, evaluate_not},
      bitwise<std::bit_and<>>("BitwiseAnd"),
      bitwise<std::bit_or<>>("BitwiseOr"),
      bitwise<std::bit_xor<>>("BitwiseXor"),
      {"BitwiseNot", {"opset13"}, 1, 1, 1, infer_bitwise_not, evaluate_bitwise_not},
      classification<IsNaN>("IsNaN"),
      classification<IsInf>("IsInf"),
      classification<IsFinite>("IsFinite"),
  };
  return ops;
}

}  // namespace nibble
