#include "device/cpu/lowering/lower_products.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "device/cpu/lowering/token_checks.hpp"
#include "device/cpu/packed_format.hpp"
#include "device/cpu/steps.hpp"
#include "device/cpu/weight_match.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

/// Whether the only way from `node` leads through reshapes to `reader`.
bool is_read_once(const Node& node, const Node& reader) {
  const Node* at = &node;
  for (;;) {
    std::vector<Node::Use> uses = at->uses();
    uses.erase(std::remove_if(uses.begin(), uses.end(), [](const Node::Use& use) { return use.node->is("ShapeOf"); }), uses.end());
    if (uses.size() != 1) return false;
    if (uses[0].node == &reader) return true;
    if (!is_movement(*uses[0].node)) return false;
    at = uses[0].node;
  }
}

}  // namespace

void ProductLowering::lower(Value x) {
  std::vector<Node*> members = products_of(x);
  require_tokens_before_last(builder_, x);
  View in = builder_.view(x);
  Shape shape = builder_.form(x).shape;
  while (!members.empty()) lower_stack(take_stack(members), in, shape);
}

std::vector<Node*> ProductLowering::products_of(Value x) const {
  std::vector<Node*> products;
  for (const auto& use : x.node->uses(x.index)) {
    Node* root = root_of(*use.node);
    if (root && patterns_.find_linear(*root)->x == x && patterns_.is_needed(*root) && !builder_.is_defined(*root) &&
        std::find(products.begin(), products.end(), root) == products.end())
      products.push_back(root);
  }
  return products;
}

/// The node that a product's pattern ends with: its bias, if it has one.
Node* ProductLowering::root_of(Node& matmul) const {
  if (!matmul.is("MatMul")) return nullptr;
  for (const auto& use : matmul.uses())
    if (auto linear = patterns_.find_linear(*use.node); linear && linear->matmul == &matmul && use.node != &matmul) return use.node;
  return patterns_.find_linear(matmul) ? &matmul : nullptr;
}

WeightMatrix ProductLowering::weight_of(const LinearMatch& linear) {
  auto weight = match_weight(linear.weight, builder_.constants());
  if (!weight) fail(ErrorKind::unsupported, "weights of {} dimensions", linear.weight.shape().rank());
  if (linear.matmul->attributes().get_bool("transpose_b", false)) return *weight;
  return transposed(*weight, linear.weight);
}

/// Weights stored as [columns, rows].
WeightMatrix ProductLowering::transposed(WeightMatrix weight, Value value) {
  if (weight.scales.type() != ElementType::dynamic || weight.zero_points.type() != ElementType::dynamic ||
      bit_width(weight.codes.type()) < 16) {
    weight = {};
    weight.codes = convert(builder_.constants().tensor(value), ElementType::f32);
    weight.name = value.node->name();
    weight.columns = static_cast<size_t>(value.shape().dims().back());
    weight.rows = weight.codes.byte_size() / sizeof(float) / weight.columns;
  }
  std::swap(weight.rows, weight.columns);
  weight.group_size = weight.columns;
  weight.transposed = true;
  return weight;
}

/// The first of the members and those that can be packed with it.
std::vector<ProductLowering::Part> ProductLowering::take_stack(std::vector<Node*>& members) {
  std::vector<Part> stack;
  std::vector<WeightMatrix> weights;
  for (auto member = members.begin(); member != members.end();) {
    weights.push_back(weight_of(*patterns_.find_linear(**member)));
    if (stack.empty() || (!patterns_.is_router(**member) && !patterns_.is_router(*stack[0].root) && can_stack(weights))) {
      stack.push_back({*member, weights.back()});
      member = members.erase(member);
    } else {
      weights.pop_back();
      ++member;
    }
  }
  return stack;
}

void ProductLowering::lower_stack(const std::vector<Part>& stack, View in, const Shape& shape) {
  std::vector<WeightMatrix> weights;
  size_t width = 0;
  for (const Part& part : stack) {
    if (part.weight.columns != in.width) fail(ErrorKind::corrupt, "weights of {} columns for {} inputs", part.weight.columns, in.width);
    weights.push_back(part.weight);
    width += part.weight.rows;
  }
  Node& first = *stack[0].root;
  bool is_router = patterns_.is_router(first);
  View out = builder_.new_slot(width);
  auto& step = builder_.emit(first, std::make_unique<LinearStep>(builder_.request_weights(std::move(weights), is_router), in, out));
  step.set_bias(bias_of(stack));
  if (is_router) step.set_exact();
  define_parts(stack, out, shape);
  if (stack.size() == 1) producers_[out.slot] = {builder_.plan().steps.size() - 1, &first};
}

/// The products, whose columns lie side by side.
void ProductLowering::define_parts(const std::vector<Part>& stack, View out, Shape shape) {
  size_t offset = 0;
  for (const Part& part : stack) {
    shape.back() = static_cast<int64_t>(part.weight.rows);
    builder_.define(part.root->output(), identity_form({out.slot, offset, part.weight.rows}, shape));
    offset += part.weight.rows;
  }
}

/// Empty where no product has one.
std::vector<float> ProductLowering::bias_of(const std::vector<Part>& stack) {
  std::vector<float> bias;
  bool has_bias = false;
  for (const Part& part : stack) {
    Value own = patterns_.find_linear(*part.root)->bias;
    std::vector<float> values = own ? builder_.constants().floats(own) : std::vector<float>{0};
    if (values.size() == 1) values.resize(part.weight.rows, values[0]);
    has_bias |= static_cast<bool>(own);
    bias.insert(bias.end(), values.begin(), values.end());
  }
  return has_bias ? bias : std::vector<float>{};
}

bool ProductLowering::lower_residual(Node& sum) {
  const Meaning &a = builder_.meaning(sum.input(0)), &b = builder_.meaning(sum.input(1));
  if (!a.form || !b.form || a.shape().empty() || element_count(a.shape()) != element_count(b.shape())) return false;
  auto first = as_view(*a.form), second = as_view(*b.form);
  return first && second && (add_residual(sum, *second, *first) || add_residual(sum, *first, *second));
}

bool ProductLowering::add_residual(Node& sum, View product, View residual) {
  auto producer = producers_.find(product.slot);
  if (producer == producers_.end() || product.width != builder_.plan().slots[product.slot].width) return false;
  auto [index, root] = producer->second;
  if (!is_read_once(*root, sum) || first_step_of(residual.slot) >= index) return false;
  auto& step = static_cast<LinearStep&>(*builder_.plan().steps[index]);
  if (step.has_residual()) return false;
  Shape shape = broadcast_shape(builder_.meaning(sum.input(0)).shape(), builder_.meaning(sum.input(1)).shape());
  step.set_residual(residual, builder_.new_result(sum.output(), std::move(shape)));
  return true;
}

/// The step that first writes a slot.
size_t ProductLowering::first_step_of(size_t slot) {
  const Plan& plan = builder_.plan();
  if (plan.slots[slot].kind != Slot::Kind::activation) return 0;
  for (size_t i = 0; i < plan.steps.size(); ++i)
    for (View out : plan.steps[i]->outputs())
      if (out.slot == slot) return i;
  return plan.steps.size();
}

}  // namespace nibble::cpu
