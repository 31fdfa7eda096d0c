#include "device/cpu/lowering/lower_movement.hpp"

#include "base/fail.hpp"
#include "device/cpu/lowering/token_checks.hpp"
#include "device/cpu/steps.hpp"
#include "device/cpu/weight_match.hpp"
#include "graph/op_set.hpp"

namespace nibble::cpu {

namespace {

/// Slots hold floats whatever the type, so a conversion that neither truncates nor compares with 0 does nothing.
bool keeps_values(const Node& convert) {
  ElementType from = convert.input(0).type(), to = convert.output_info().type;
  return from == to || is_float(to) || (is_integer(from) && is_integer(to) && bit_width(to) >= 32);
}

}  // namespace

bool lower_movement(PlanBuilder& builder, Node& node) {
  if (node.is("Convert") && keeps_values(node)) {
    builder.define(node.output(), Form(builder.form(node.input(0))));
    return true;
  }
  if (!is_movement(node)) return false;
  std::string state;
  for (Value value : node.inputs())
    if (const std::string& past = builder.meaning(value).state; !past.empty()) state = past;
  if (state.empty()) require_separable(builder, node);
  std::vector<MoveInput> inputs;
  for (Value value : node.inputs()) {
    const Meaning& meaning = builder.meaning(value);
    inputs.push_back({meaning.form ? &*meaning.form : nullptr, meaning.known});
  }
  std::vector<Form> forms = move(node, inputs, builder.threads());
  for (size_t i = 0; i < forms.size(); ++i) builder.define(node.output(i), std::move(forms[i]));
  builder.define_state(node.output(0), std::move(state));
  return true;
}

bool lower_embedding(PlanBuilder& builder, Node& node) {
  if (!node.is("Gather") || !builder.constants().is_constant(node.input(0))) return false;
  Shape shape = builder.form(node.input(1)).shape;
  auto table = match_weight(node.input(0), builder.constants());
  float axis = 0;
  bool rows_by_id = table && builder.constants().is_uniform(node.input(2), axis) && axis == 0 && node.input(0).shape().rank() == 2 &&
                    element_count(shape) == 1;
  if (!rows_by_id) fail(ErrorKind::unsupported, "not a lookup of one row of a table per token");
  View at = builder.view(node.input(1));
  shape.push_back(static_cast<int64_t>(table->columns));
  View out = builder.new_result(node.output(), std::move(shape));
  builder.emit(node, std::make_unique<EmbeddingStep>(std::move(*table), at, out));
  return true;
}

void lower_reference(PlanBuilder& builder, Node& node) {
  if (!node.op().evaluate) fail(ErrorKind::unsupported, "this operation cannot run");
  require_separable(builder, node);
  std::vector<ReferenceStep::Input> inputs;
  std::vector<Tensor> tensors, results(node.output_count());
  for (Value value : node.inputs()) {
    Meaning meaning = builder.operand(value);
    if (meaning.form) {
      inputs.push_back({builder.view(value), value.type(), meaning.shape(), {}});
      tensors.push_back(Tensor(value.type(), meaning.shape()));
    } else {
      inputs.push_back({{}, {}, {}, meaning.known});
      tensors.push_back(meaning.known);
    }
  }
  EvalContext context{node, tensors, results, builder.threads()};
  node.op().evaluate(context);
  std::vector<View> outputs;
  for (size_t i = 0; i < results.size(); ++i) outputs.push_back(builder.new_result(node.output(i), Shape(results[i].shape())));
  builder.emit(node, std::make_unique<ReferenceStep>(node, std::move(inputs), std::move(outputs)));
}

}  // namespace nibble::cpu
