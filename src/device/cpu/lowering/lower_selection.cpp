#include "device/cpu/lowering/lower_selection.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "device/cpu/lowering/token_checks.hpp"
#include "device/cpu/selection_steps.hpp"

namespace nibble::cpu {

namespace {

/// Whether indices of these shapes choose along the last dimension, and there is something to choose.
bool chooses_along_last(const Shape& shape, const Shape& indices, int64_t axis) {
  auto last = static_cast<int64_t>(shape.size()) - 1;
  if (last < 0 || (axis != -1 && axis != last)) return false;
  if (indices.size() != shape.size() || !std::equal(shape.begin(), shape.end() - 1, indices.begin())) return false;
  return element_count(shape) != 0 && element_count(indices) != 0;
}

bool lower_gather(PlanBuilder& builder, Node& node) {
  Value data = node.input(0), indices = node.input(1);
  if (!builder.meaning(indices).form || !builder.meaning(data).form) return false;
  Shape shape = builder.form(data).shape, chosen = builder.form(indices).shape;
  if (!chooses_along_last(shape, chosen, node.attributes().get_int("axis", 0))) return false;
  require_tokens_before_last(builder, indices);
  require_tokens_before_last(builder, data);
  View from = builder.view(indices), in = builder.view(data);
  View out = builder.new_result(node.output(), std::move(chosen));
  builder.emit(node, std::make_unique<GatherElementsStep>(in, static_cast<size_t>(shape.back()), from, out));
  return true;
}

/// A number, repeated to whatever shape, or activations.
ScatterElementsStep::Source scatter_source(PlanBuilder& builder, Value value) {
  Value number = value;
  while (number.node->is("Broadcast")) number = number.node->input(0);
  ScatterElementsStep::Source source;
  source.is_number = builder.constants().is_uniform(number, source.number);
  if (source.is_number) return source;
  require_tokens_before_last(builder, value);
  source.view = builder.view(value);
  return source;
}

bool lower_scatter(PlanBuilder& builder, Node& node) {
  Value data = node.input(0), indices = node.input(1);
  if (!builder.meaning(indices).form) return false;
  if (!node.attributes().equals("reduction", "none", "none") || !builder.constants().is_constant(node.input(3))) return false;
  Shape shape = node.output_info().shape.dims();
  std::vector<int64_t> axes = builder.constants().integers(node.input(3));
  if (axes.size() != 1 || !chooses_along_last(shape, builder.form(indices).shape, axes[0])) return false;
  require_tokens_before_last(builder, indices);
  View at = builder.view(indices);
  ScatterElementsStep::Source x = scatter_source(builder, data), updates = scatter_source(builder, node.input(2));
  if ((!x.is_number && x.view.width != element_count(shape)) || (!updates.is_number && updates.view.width != at.width))
    fail(ErrorKind::unsupported, "updates that are not one for each index");
  auto size = static_cast<size_t>(shape.back());
  View out = builder.new_result(node.output(), std::move(shape));
  builder.emit(node, std::make_unique<ScatterElementsStep>(x, size, at, updates, out));
  return true;
}

}  // namespace

bool lower_selection(PlanBuilder& builder, Node& node) {
  if (node.is("GatherElements")) return lower_gather(builder, node);
  return node.is("ScatterElementsUpdate") && lower_scatter(builder, node);
}

}  // namespace nibble::cpu
