#include "device/cpu/lowering/lower_states.hpp"

#include "base/fail.hpp"
#include "device/cpu/lowering/token_checks.hpp"

namespace nibble::cpu {

namespace {

bool is_assigned_to(const Node& node, const std::string& variable) {
  for (const auto& use : node.uses())
    if (use.node->is("Assign") && use.node->attributes().get_string("variable_id") == variable) return true;
  return false;
}

/// [channels, 1, 1, kernel] as [kernel, channels].
std::vector<float> kernel_major(const std::vector<float>& weight, size_t channels, size_t kernel) {
  std::vector<float> out(weight.size());
  for (size_t c = 0; c < channels; ++c)
    for (size_t k = 0; k < kernel; ++k) out[k * channels + c] = weight[c * kernel + k];
  return out;
}

}  // namespace

void StateLowering::lower_read(Node& node) {
  Shape shape = node.output_info().shape.dims();
  if (element_count(shape) != 0) fail(ErrorKind::unsupported, "a state that is not empty before the first token");
  builder_.define(node.output(), Form{shape, {std::vector<Element>()}});
  builder_.define_state(node.output(), node.attributes().get_string("variable_id"));
}

bool StateLowering::lower_append(Node& node) {
  if (!node.is("Concat") || node.input_count() != 2 || !builder_.is_defined(*node.input(0).node)) return false;
  std::string variable = builder_.meaning(node.input(0)).state;
  if (variable.empty()) return false;
  Value fresh = node.input(1);
  Shape shape = builder_.form(fresh).shape;
  auto axis = node.attributes().get_int("axis", 0);
  if (!is_assigned_to(node, variable) || shape.size() != 4 || (axis != 2 && axis != -2) || shape[2] != 1 || shape[0] != 1)
    fail(ErrorKind::unsupported, "a state that is not [batch, heads, tokens, dimensions] of keys or values");
  builder_.axes().set(node.output(), token_axis(builder_, fresh));
  View stored = builder_.view(fresh);
  cached_.push_back({stored, shape});
  builder_.define(node.output(), identity_form(stored, shape));
  return true;
}

void StateLowering::lower(Node& node, const ConvMatch& conv) {
  if (token_axis(builder_, conv.x).from_back() != 0) fail(ErrorKind::unsupported, "tokens are not the last dimension of what is convolved");
  const Shape& shape = conv.weight.shape().dims();
  auto channels = static_cast<size_t>(shape[0]), kernel = static_cast<size_t>(shape[3]);
  View in = builder_.view(conv.x);
  if (in.width != channels) fail(ErrorKind::unsupported, "a convolution of {} channels over {}", channels, in.width);
  std::vector<float> weight = kernel_major(builder_.constants().floats(conv.weight), channels, kernel);
  View out = builder_.new_result(node.output(), {1, shape[0], 1});
  Plan& plan = builder_.plan();
  builder_.emit(node, std::make_unique<ConvStep>(plan.conv_layers.size(), std::move(weight), in, out));
  plan.conv_layers.push_back({channels, kernel});
  plan.rows_selected_before = plan.steps.size();
  convolved_.insert(conv.state);
}

std::pair<View, Shape> StateLowering::find_cached(const Form& form, size_t heads) const {
  for (const Cached& state : cached_)
    if (reads(form, state, heads)) return {state.view, state.shape};
  fail(ErrorKind::unsupported, "keys or values that are not the cached ones");
}

bool StateLowering::reads(const Form& form, const Cached& state, size_t heads) {
  auto repeated = static_cast<size_t>(form.shape[1]), dimensions = static_cast<size_t>(form.shape[3]);
  auto state_heads = static_cast<size_t>(state.shape[1]);
  if (form.terms.size() != 1 || form.shape[3] != state.shape[3] || state_heads == 0 || heads % state_heads != 0) return false;
  if (repeated != heads && repeated != state_heads) return false;
  size_t group = repeated / state_heads;
  for (size_t h = 0; h < repeated; ++h)
    for (size_t d = 0; d < dimensions; ++d) {
      size_t column = state.view.offset + h / group * dimensions + d;
      Element expected{static_cast<int32_t>(state.view.slot), static_cast<int32_t>(column), -1, 0, 1};
      if (form.terms[0][h * dimensions + d] != expected) return false;
    }
  return true;
}

}  // namespace nibble::cpu
