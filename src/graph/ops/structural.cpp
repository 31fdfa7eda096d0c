#include "base/fail.hpp"
#include "graph/ops/tables.hpp"

namespace nibble {

namespace {

void infer_parameter(Node& node) {
  const std::string* shape = node.attributes().find("shape");
  if (!shape) fail(ErrorKind::corrupt, "a Parameter needs a shape");
  node.output_info().type = node.attributes().get_type("element_type", ElementType::dynamic);
  node.output_info().shape = parse_partial_shape(*shape);
}

void infer_constant(Node& node) {
  node.output_info().type = node.constant().type();
  node.output_info().shape = node.constant().shape();
}

void pass_through(Node& node) {
  node.output_info().type = node.input(0).type();
  node.output_info().shape = node.input(0).shape();
}

/// Old IRs carry only variable_id: type and shape then come from the initialiser, whose batch and length are not those of later steps.
void infer_read_value(Node& node) {
  if (!node.attributes().find("variable_id")) fail(ErrorKind::corrupt, "a ReadValue needs a variable_id");
  const std::string* shape = node.attributes().find("variable_shape");
  ElementType fallback = node.input_count() ? node.input(0).type() : ElementType::f32;
  node.output_info().type = node.attributes().get_type("variable_type", fallback);
  if (shape)
    node.output_info().shape = parse_partial_shape(*shape);
  else if (node.input_count() && node.input(0).shape().rank_is_known())
    node.output_info().shape = PartialShape::of_rank(node.input(0).shape().rank());
}

void infer_assign(Node& node) {
  if (!node.attributes().find("variable_id")) fail(ErrorKind::corrupt, "an Assign needs a variable_id");
  pass_through(node);
}

}  // namespace

std::span<const OpDef> structural_ops() {
  static const std::vector<OpDef> ops{
      {"Parameter", {"opset1"}, 0, 0, 1, infer_parameter, nullptr},
      {"Constant", {"opset1"}, 0, 0, 1, infer_constant, nullptr},
      {"Result", {"opset1"}, 1, 1, 1, pass_through, nullptr},
      {"ReadValue", {"opset3", "opset6"}, 0, 1, 1, infer_read_value, nullptr},
      {"Assign", {"opset3", "opset6"}, 1, 1, 1, infer_assign, nullptr},
  };
  return ops;
}

}  // namespace nibble
