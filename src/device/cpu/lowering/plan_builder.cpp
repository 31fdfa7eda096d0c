#include "device/cpu/lowering/plan_builder.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/fail.hpp"
#include "device/cpu/steps.hpp"

namespace nibble::cpu {

namespace {

/// Computed from shapes alone: the lengths of this one token are what forms are interpreted for.
bool is_shape_arithmetic(Value value) {
  std::vector<const Node*> pending{value.node};
  std::unordered_set<const Node*> seen;
  while (!pending.empty()) {
    const Node* node = pending.back();
    pending.pop_back();
    if (!seen.insert(node).second || node->is("ShapeOf")) continue;
    if (node->is("Parameter")) return false;
    for (Value input : node->inputs()) pending.push_back(input.node);
  }
  return true;
}

/// The dimension that differs from one token to two; the rank if none does.
size_t find_token_axis(const Shape& one, const Shape& two) {
  size_t axis = 0;
  while (axis < one.size() && one[axis] == two[axis]) ++axis;
  return axis;
}

}  // namespace

std::vector<Meaning>& PlanBuilder::outputs(const Node& node) {
  auto& outputs = meanings_[&node];
  outputs.resize(node.output_count());
  return outputs;
}

const Meaning& PlanBuilder::meaning(Value value) {
  if (auto found = meanings_.find(value.node); found != meanings_.end()) return found->second[value.index];
  Meaning& meaning = outputs(*value.node)[value.index];
  if (constants_.is_constant(value))
    meaning.known = constants_.tensor(value);
  else if (is_positional(value))
    define_positional(value);
  else
    fail(ErrorKind::unsupported, "{}: its value is not known where it is needed", describe(*value.node));
  return meaning;
}

/// A positional value is known if it is the same for every token; else it gets a slot.
void PlanBuilder::define_positional(Value value) {
  Tensor one = evaluate(value, {1, 0});
  Meaning& meaning = outputs(*value.node)[value.index];
  if (is_integer(one.type()) && is_shape_arithmetic(value)) {
    meaning.known = one;
    return;
  }
  Tensor two = evaluate(value, {2, 0});
  size_t axis = find_token_axis(one.shape(), two.shape());
  if (axis == one.rank()) {
    require_same_everywhere(value, one);
    meaning.known = one;
    return;
  }
  if (evaluate(value, {1, 3}).shape() != one.shape())
    fail(ErrorKind::unsupported, "{}: its shape depends on earlier tokens", describe(*value.node));
  if (std::any_of(one.shape().begin(), one.shape().begin() + static_cast<std::ptrdiff_t>(axis), [](int64_t d) { return d != 1; }))
    fail(ErrorKind::unsupported, "{}: positions are not the outermost dimension", describe(*value.node));
  axes().set(value, {one.shape(), two.shape(), axis});
  View view = new_slot(Slot::Kind::positional, one.size());
  model_.positional_slots.push_back({value, view, axis});
  meaning.form = identity_form(view, one.shape());
}

/// Numbers that operations compute with, unlike shapes that things are moved by, may not depend on the window.
void PlanBuilder::require_same_everywhere(Value value, const Tensor& known) const {
  for (TokenWindow window : {TokenWindow{2, 0}, TokenWindow{1, 3}}) {
    Tensor other = evaluate(value, window);
    if (!std::equal(other.bytes().begin(), other.bytes().end(), known.bytes().begin(), known.bytes().end()))
      fail(ErrorKind::unsupported, "{}: depends on the number of tokens", describe(*value.node));
  }
}

const Meaning& PlanBuilder::operand(Value value) {
  const Meaning& found = meaning(value);
  if (!found.form && is_positional(value)) require_same_everywhere(value, found.known);
  return found;
}

const Form& PlanBuilder::form(Value value) {
  const Meaning& found = meaning(value);
  if (!found.form) fail(ErrorKind::unsupported, "{}: a constant where activations are expected", describe(*value.node));
  return *found.form;
}

View PlanBuilder::new_slot(Slot::Kind kind, size_t width) {
  plan().slots.push_back({kind, width, 0});
  return {plan().slots.size() - 1, 0, width};
}

View PlanBuilder::new_result(Value value, Shape shape) {
  View out = new_slot(element_count(shape));
  define(value, identity_form(out, std::move(shape)));
  return out;
}

size_t PlanBuilder::request_weights(std::vector<WeightMatrix> parts, bool exact) {
  ElementType type = parts[0].codes.type();
  bool is_float = type == ElementType::f16 || type == ElementType::bf16 || type == ElementType::f32;
  plan().weight_requests.push_back({std::move(parts), {!exact && plan().precision.bf16 && is_float}});
  return plan().weight_requests.size() - 1;
}

View PlanBuilder::view(const Node& node, const Form& form, std::optional<Value> whole) {
  if (auto direct = as_view(form)) return *direct;
  View out = new_slot(form.size());
  emit(node, std::make_unique<ColumnsStep>(form, out));
  if (whole) define(*whole, identity_form(out, Shape(form.shape)));
  return out;
}

}  // namespace nibble::cpu
