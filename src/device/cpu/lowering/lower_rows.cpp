#include "device/cpu/lowering/lower_rows.hpp"

#include <algorithm>

#include "device/cpu/lowering/token_checks.hpp"
#include "device/cpu/moe_step.hpp"

namespace nibble::cpu {

namespace {

/// A weight or bias of a norm: a vector of `size`, stored as one or as one number; empty for none.
std::vector<float> norm_vector(PlanBuilder& builder, Value value, size_t size) {
  std::vector<float> values = value ? builder.constants().floats(value) : std::vector<float>{};
  if (values.size() == 1) values.resize(size, values[0]);
  return values;
}

/// The largest values, in their order or, where the graph leaves it open, in any.
bool is_plain_top_k(PlanBuilder& builder, const Node& node) {
  if (!node.attributes().equals("mode", "max", "max") || !builder.constants().is_constant(node.input(1))) return false;
  bool is_single = builder.constants().integers(node.input(1)) == std::vector<int64_t>{1};
  return is_single || node.attributes().equals("sort", "value", "value") || node.attributes().equals("sort", "none", "value");
}

std::optional<RowStep::Kind> row_kind(const Node& node) {
  if (node.is("Softmax")) return RowStep::Kind::softmax;
  if (node.is("TopK")) return RowStep::Kind::top_k;
  if (node.is("ReduceSum")) return RowStep::Kind::sum;
  if (node.is("ReduceMax")) return RowStep::Kind::max;
  return std::nullopt;
}

/// The dimension that an operation goes along, if it is one that is known.
std::optional<int64_t> row_axis(PlanBuilder& builder, const Node& node, bool is_reduction) {
  if (!is_reduction) return node.attributes().get_int("axis", 1);
  if (!builder.constants().is_constant(node.input(1))) return std::nullopt;
  std::vector<int64_t> axes = builder.constants().integers(node.input(1));
  return axes.size() == 1 ? std::optional(axes[0]) : std::nullopt;
}

}  // namespace

void lower(PlanBuilder& builder, Node& node, const NormMatch& norm) {
  require_tokens_before_last(builder, norm.x);
  View in = builder.view(norm.x);
  Shape shape = builder.form(norm.x).shape;
  auto size = static_cast<size_t>(shape.back());
  auto kind = norm.is_layer_norm ? NormStep::Kind::layer : NormStep::Kind::rms;
  std::vector<float> weight = norm_vector(builder, norm.weight, size), bias = norm_vector(builder, norm.bias, size);
  View out = builder.new_result(node.output(), std::move(shape));
  builder.emit(node, std::make_unique<NormStep>(kind, in, out, size, norm.epsilon, std::move(weight), std::move(bias)));
}

void lower(PlanBuilder& builder, Node& node, const GatedMatch& gated) {
  require_aligned(builder, node, {gated.gate, gated.up});
  View gate = builder.view(gated.gate), up = builder.view(gated.up);
  View out = builder.new_result(node.output(), Shape(builder.form(gated.gate).shape));
  builder.emit(node, std::make_unique<GatedStep>(gated.activation, gate, up, out));
}

void lower_clamp(PlanBuilder& builder, Node& node) {
  Value x = node.input(0);
  require_aligned(builder, node, {x});
  View in = builder.view(x), out = builder.new_result(node.output(), Shape(builder.form(x).shape));
  auto bound = [&](const char* name) { return static_cast<float>(node.attributes().get_float(name, 0)); };
  builder.emit(node, std::make_unique<ClampStep>(bound("min"), bound("max"), in, out));
}

bool lower_activation(PlanBuilder& builder, Node& node) {
  auto match = match_activation(node.output(), builder.constants());
  if (!match) return false;
  require_aligned(builder, node, {match->x});
  View in = builder.view(match->x), out = builder.new_result(node.output(), Shape(builder.form(match->x).shape));
  builder.emit(node, std::make_unique<ActivationStep>(match->activation, in, out));
  return true;
}

bool lower_row_operation(PlanBuilder& builder, Node& node) {
  auto kind = row_kind(node);
  if (!kind) return false;
  bool is_top_k = kind == RowStep::Kind::top_k, is_reduction = kind == RowStep::Kind::sum || kind == RowStep::Kind::max;
  Shape shape = builder.form(node.input(0)).shape;
  auto axis = row_axis(builder, node, is_reduction);
  auto rank = static_cast<int64_t>(shape.size());
  if (!axis || rank == 0 || (*axis != -1 && *axis != rank - 1) || element_count(shape) == 0) return false;
  require_tokens_before_last(builder, node.input(0));
  if (is_top_k && !is_plain_top_k(builder, node)) return false;
  View in = builder.view(node.input(0));
  auto size = static_cast<size_t>(shape.back());
  if (is_reduction) shape.back() = 1;
  if (is_reduction && !node.attributes().get_bool("keep_dims", false)) shape.pop_back();
  if (is_top_k) shape.back() = std::min<int64_t>(builder.constants().integers(node.input(1)).at(0), shape.back());
  std::vector<View> outputs;
  for (size_t i = 0; i < node.output_count(); ++i) outputs.push_back(builder.new_result(node.output(i), Shape(shape)));
  builder.emit(node, std::make_unique<RowStep>(*kind, in, size, outputs));
  return true;
}

}  // namespace nibble::cpu
