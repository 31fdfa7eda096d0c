#include "graph/ops/broadcast.hpp"
#include "graph/ops/compute.hpp"
#include "graph/ops/elements.hpp"
#include "graph/ops/inference.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

void infer_convert(Node& node) {
  infer_like_input(node);
  node.output_info().type = node.attributes().get_type("destination_type", ElementType::dynamic);
  if (node.output_info().type == ElementType::dynamic) fail(ErrorKind::corrupt, "a Convert needs a destination_type");
}

void evaluate_convert(EvalContext& context) {
  context.outputs[0] = convert(context.inputs[0], context.node.attributes().get_type("destination_type", ElementType::dynamic));
}

void infer_convert_like(Node& node) {
  infer_like_input(node);
  node.output_info().type = node.input(1).type();
}

void evaluate_convert_like(EvalContext& context) { context.outputs[0] = convert(context.inputs[0], context.inputs[1].type()); }

/// pdpd: condition and else are broadcast to then.
void infer_select(Node& node) {
  AutoBroadcast broadcast(node.attributes());
  merge_types(node.input(0).type(), ElementType::boolean);
  PartialShape values = broadcast_shapes(node.input(1).shape(), node.input(2).shape(), broadcast);
  node.output_info().type = merge_types(node.input(1).type(), node.input(2).type());
  node.output_info().shape = broadcast_shapes(values, node.input(0).shape(), broadcast);
}

template <class Storage>
void select(const BroadcastWalk<3>& walk, const std::byte* condition, const std::byte* a, const std::byte* b, std::byte* out) {
  auto* from_a = reinterpret_cast<const Storage*>(a);
  auto* from_b = reinterpret_cast<const Storage*>(b);
  auto* to = reinterpret_cast<Storage*>(out);
  walk.for_each_row([&](size_t first, const auto& at) {
    for (size_t i = 0; i < walk.row_size(); ++i)
      to[first + i] =
          condition[at[0] + i * walk.step(0)] != std::byte{0} ? from_a[at[1] + i * walk.step(1)] : from_b[at[2] + i * walk.step(2)];
  });
}

void evaluate_select(EvalContext& context) {
  const Tensor& condition = context.inputs[0];
  const Tensor& a = context.inputs[1];
  const Tensor& b = context.inputs[2];
  AutoBroadcast broadcast(context.node.attributes());
  ElementType type = merge_types(a.type(), b.type());
  Shape values = broadcast_shapes(a.shape(), b.shape(), broadcast).dims();
  Shape shape = broadcast_shapes(values, condition.shape(), broadcast).dims();
  auto aligned = [&](const Tensor& tensor) { return align_shape(tensor.shape(), shape.size(), broadcast).dims(); };
  BroadcastWalk<3> walk(shape, {aligned(condition), a.shape(), aligned(b)});
  merge_types(condition.type(), ElementType::boolean);
  const std::byte* flags = condition.data();  // as bytes: those of a file need not be 0 or 1
  Tensor out = make_output(type, shape);
  switch (bit_width(type)) {
    case 8: select<uint8_t>(walk, flags, a.data(), b.data(), out.mutable_data()); break;
    case 16: select<uint16_t>(walk, flags, a.data(), b.data(), out.mutable_data()); break;
    case 32: select<uint32_t>(walk, flags, a.data(), b.data(), out.mutable_data()); break;
    case 64: select<uint64_t>(walk, flags, a.data(), b.data(), out.mutable_data()); break;
    default: fail(ErrorKind::unsupported, "Select between elements of type {} is not supported", to_string(type));
  }
  context.outputs[0] = out;
}

}  // namespace

std::span<const OpDef> selection_ops() {
  static const std::vector<OpDef> ops{
      {"Convert", {"opset1"}, 1, 1, 1, infer_convert, evaluate_convert},
      {"ConvertLike", {"opset1"}, 2, 2, 1, infer_convert_like, evaluate_convert_like},
      {"Select", {"opset1"}, 3, 3, 1, infer_select, evaluate_select},
  };
  return ops;
}

}  // namespace nibble
