#pragma once

#include <type_traits>

#include "base/fail.hpp"
#include "graph/op_set.hpp"
#include "tensor/convert.hpp"

namespace nibble {

// Operations compute in few types and round the result to the tensor's type: float for f32 and narrower floats, double for
// f64, uint64_t for u64 and int64_t for every other integer and boolean, which is exact because narrower results wrap.

/// Calls visit(C{}) with the type C that elements of `type` are computed in.
template <class Visit>
void with_compute_type(ElementType type, Visit&& visit) {
  if (type == ElementType::f64) return visit(double{});
  if (is_float(type)) return visit(float{});
  if (type == ElementType::u64) return visit(uint64_t{});
  if (is_integer(type) || type == ElementType::boolean) return visit(int64_t{});
  fail(ErrorKind::unsupported, "elements of type {} are not numbers", to_string(type));
}

/// The same for operations that only floating-point tensors have.
template <class Visit>
void with_float_type(ElementType type, std::string_view op, Visit&& visit) {
  if (type == ElementType::f64) return visit(double{});
  if (is_float(type)) return visit(float{});
  fail(ErrorKind::unsupported, "{} of {} is not supported: convert to f32 first", op, to_string(type));
}

/// The tensor's elements as C; no copy when they are stored so.
template <class C>
Tensor to_compute(const Tensor& tensor) {
  return convert(tensor, element_type_of<C>::value);
}

/// out[i] = op(input[i]) in the compute type C, stored as the input's type.
template <class C, class Op>
Tensor map(const Tensor& input, Op op) {
  Tensor values = to_compute<C>(input);
  Tensor out(values.type(), values.shape());
  auto from = values.as<C>();
  auto to = out.as_mutable<C>();
  for (size_t i = 0; i < from.size(); ++i) to[i] = op(from[i]);
  return convert(out, input.type());
}

/// An operation's functor, made from the attributes where it has some.
template <class Op>
Op make_functor(const Attributes& attributes) {
  if constexpr (std::is_constructible_v<Op, const Attributes&>)
    return Op(attributes);
  else
    return Op{};
}

/// evaluate of a function of one floating-point tensor.
template <class Op>
void evaluate_float_map(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  Op op = make_functor<Op>(context.node.attributes());
  with_float_type(input.type(), context.node.type(), [&](auto zero) { context.outputs[0] = map<decltype(zero)>(input, op); });
}

/// evaluate of a function of one tensor of numbers.
template <class Op>
void evaluate_map(EvalContext& context) {
  const Tensor& input = context.inputs[0];
  Op op = make_functor<Op>(context.node.attributes());
  with_compute_type(input.type(), [&](auto zero) { context.outputs[0] = map<decltype(zero)>(input, op); });
}

}  // namespace nibble
