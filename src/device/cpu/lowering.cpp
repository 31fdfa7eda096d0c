#include "device/cpu/lowering.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <variant>

#include "base/fail.hpp"
#include "device/cpu/constant_values.hpp"
#include "device/cpu/conv_step.hpp"
#include "device/cpu/form.hpp"
#include "device/cpu/mask_kind.hpp"
#include "device/cpu/moe_lowering.hpp"
#include "device/cpu/pack.hpp"
#include "device/cpu/pattern_match.hpp"
#include "device/cpu/selection_steps.hpp"
#include "device/cpu/weight_match.hpp"
#include "graph/op_set.hpp"
#include "passes/decompress_in_f32.hpp"
#include "passes/fuse_attention.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

/// What a value of the graph is for one token.
struct Meaning {
  Tensor known;              ///< the same for every token
  std::optional<Form> form;  ///< hidden or positional
  std::string state;         ///< variable whose past this is (and which is empty here)
};

/// Keys or values that the cache keeps.
struct CachedState {
  View view;
  Shape shape;  ///< [1, heads, 1, dimensions]
};

class Lowering {
 public:
  Lowering(LoweredModel& model, ThreadPool& threads)
      : model_(model), plan_(model.plan), threads_(threads), constants_(model.graph, threads) {}

  void run() {
    Node* logits = model_.graph.find_result("logits");
    if (!logits) fail(ErrorKind::unsupported, "there is no output 'logits'");
    if (model_.graph.results().size() > 1) fail(ErrorKind::unsupported, "there are outputs besides 'logits'");
    tokens_ = new_slot(Slot::Kind::token_ids, 1);
    match_patterns();
    demand(logits->input(0));
    for (Node* node : model_.graph.topological_order())
      if (demanded_.count(node)) lower(*node);
    finish(logits->input(0));
  }

 private:
  // What is needed, and which patterns it is made of.

  void match_patterns() {
    for (const auto& node : model_.graph.nodes()) {
      if (node->output_count() != 1 || !model_.dependence->is_hidden(*node)) continue;
      Value value = node->output();
      if (auto moe = match_moe(value, constants_)) moes_[node.get()] = *moe;
      if (auto conv = match_conv(value, constants_)) convs_.emplace(node.get(), *conv);
      if (auto norm = match_norm(value, constants_)) norms_[node.get()] = *norm;
      if (auto gated = match_gated(value, constants_)) gated_[node.get()] = *gated;
      if (auto linear = match_linear(value, constants_)) linears_[node.get()] = *linear;
    }
    for (const auto& [node, moe] : moes_) find_routers(moe);
  }

  /// The products that an expert's choice is computed from.
  void find_routers(const MoeMatch& moe) {
    std::vector<const Node*> pending{moe.chosen.node, moe.weights.node};
    std::unordered_set<const Node*> seen;
    while (!pending.empty()) {
      const Node* node = pending.back();
      pending.pop_back();
      if (!seen.insert(node).second || !model_.dependence->is_hidden(*node) || node->is("ShapeOf")) continue;
      if (linears_.count(node)) {
        routers_.insert(node);
        continue;
      }
      for (Value input : node->inputs()) pending.push_back(input.node);
    }
  }

  std::vector<Value> inputs_of(const Node& node) const {
    if (auto moe = moes_.find(&node); moe != moes_.end()) return {moe->second.x, moe->second.chosen, moe->second.weights};
    if (auto conv = convs_.find(&node); conv != convs_.end()) return {conv->second.x};
    if (auto norm = norms_.find(&node); norm != norms_.end()) return {norm->second.x};
    if (auto gated = gated_.find(&node); gated != gated_.end()) return {gated->second.gate, gated->second.up};
    if (auto linear = linears_.find(&node); linear != linears_.end()) return {linear->second.x};
    if (node.is("ShapeOf")) return {};
    return node.inputs();
  }

  void demand(Value root) {
    std::vector<Value> pending{root};
    while (!pending.empty()) {
      Node* node = pending.back().node;
      pending.pop_back();
      if (!demanded_.insert(node).second) continue;
      if (!model_.dependence->is_hidden(*node)) continue;
      for (Value input : inputs_of(*node)) pending.push_back(input);
    }
  }

  // Slots and steps.

  View new_slot(Slot::Kind kind, size_t width) {
    plan_.slots.push_back({kind, width, 0});
    return {plan_.slots.size() - 1, 0, width};
  }
  View new_slot(size_t width) { return new_slot(Slot::Kind::activation, width); }

  template <class T>
  T& emit(const Node& node, std::unique_ptr<T> step) {
    step->name = node.name();
    T& reference = *step;
    plan_.steps.push_back(std::move(step));
    return reference;
  }

  void define(Value value, Form form) {
    meanings_[value.node].resize(value.node->output_count());
    meanings_[value.node][value.index].form = std::move(form);
  }
  void define(Value value, View view) { define(value, identity_form(view, value.shape().dims())); }

  const Meaning& meaning(Value value) {
    auto found = meanings_.find(value.node);
    if (found != meanings_.end()) return found->second[value.index];
    auto& outputs = meanings_[value.node];
    outputs.resize(value.node->output_count());
    if (constants_.is_constant(value)) {
      outputs[value.index].known = constants_.tensor(value);
    } else if (model_.dependence->is_positional(*value.node)) {
      define_positional(value);
    } else {
      fail(ErrorKind::unsupported, "{}: its value is not known where it is needed", describe(*value.node));
    }
    return meanings_[value.node][value.index];
  }

  /// A positional value is known if it is the same for every token; else it gets a slot.
  void define_positional(Value value) {
    Tensor one = model_.positional->evaluate({value}, {1, 0})[0];
    Meaning& meaning = meanings_[value.node][value.index];
    if (is_integer(one.type()) && is_shape_arithmetic(value)) {
      meaning.known = one;
      return;
    }
    Tensor two = model_.positional->evaluate({value}, {2, 0})[0];
    size_t axis = 0;
    while (axis < one.rank() && one.shape()[axis] == two.shape()[axis]) ++axis;
    if (axis == one.rank()) {
      require_same_everywhere(value, one);
      meaning.known = one;
      return;
    }
    if (model_.positional->evaluate({value}, {1, 3})[0].shape() != one.shape())
      fail(ErrorKind::unsupported, "{}: its shape depends on earlier tokens", describe(*value.node));
    for (size_t i = 0; i < axis; ++i)
      if (one.shape()[i] != 1) fail(ErrorKind::unsupported, "{}: positions are not the outermost dimension", describe(*value.node));
    axes().set(value, {one.shape(), two.shape(), axis});
    View view = new_slot(Slot::Kind::positional, one.size());
    model_.positional_slots.push_back({value, view, axis});
    meaning.form = identity_form(view, one.shape());
  }

  /// Numbers that operations compute with, unlike shapes that things are moved by, may not depend on the window.
  void require_same_everywhere(Value value, const Tensor& known) {
    for (TokenWindow window : {TokenWindow{2, 0}, TokenWindow{1, 3}}) {
      Tensor other = model_.positional->evaluate({value}, window)[0];
      if (!std::equal(other.bytes().begin(), other.bytes().end(), known.bytes().begin(), known.bytes().end()))
        fail(ErrorKind::unsupported, "{}: depends on the number of tokens", describe(*value.node));
    }
  }

  /// What an operation computes with.
  const Meaning& operand(Value value) {
    const Meaning& m = meaning(value);
    if (!m.form && is_positional(value)) require_same_everywhere(value, m.known);
    return m;
  }

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

  const Form& form(Value value) {
    const Meaning& m = meaning(value);
    if (!m.form) fail(ErrorKind::unsupported, "{}: a constant where activations are expected", describe(*value.node));
    return *m.form;
  }

  /// The columns of a value, computed now if they are not a view.
  View view(Value value) { return view(*value.node, form(value), value); }

  View view(const Node& node, const Form& of, std::optional<Value> whole = {}) {
    if (auto direct = as_view(of)) return *direct;
    View out = new_slot(of.size());
    emit(node, std::make_unique<ColumnsStep>(of, out));
    if (whole) define(*whole, identity_form(out, Form(of).shape));
    return out;
  }

  // Operations.

  void lower(Node& node) {
    if (!model_.dependence->is_hidden(node) || meanings_.count(&node)) return;
    try {
      lower_hidden(node);
      require_token_axes(node);
    } catch (const Error& error) {
      fail(error.kind(), "{}: {}", describe(node), error.what());
    }
  }

  // Tokens. A plan computes each on its own, so an operation must not mix them; attention alone does, by its mask.

  TokenAxes& axes() { return model_.positional->token_axes(); }

  TokenAxis axis(Value value) {
    auto found = axes().find(value);
    if (!found) fail(ErrorKind::unsupported, "{}: its tokens are not one of its dimensions", describe(*value.node));
    return *found;
  }

  /// Every result has tokens, but for the past of a state, which is empty here.
  void require_token_axes(Node& node) {
    auto found = meanings_.find(&node);
    if (found == meanings_.end()) return;
    for (size_t i = 0; i < found->second.size(); ++i) {
      const Meaning& m = found->second[i];
      if (m.form && m.state.empty() && element_count(m.form->shape) != 0) axis({&node, i});
    }
  }

  /// For operations along the last dimension.
  void require_tokens_before_last(Value value) {
    if (axis(value).from_back() == 0) fail(ErrorKind::unsupported, "it goes over tokens");
  }

  /// For operations that work element by element: tokens of all inputs meet those of the result.
  void require_aligned(Node& node, const std::vector<Value>& inputs) {
    size_t tokens = axis(node.output()).from_back();
    for (Value value : inputs)
      if (meaning(value).form && axis(value).from_back() != tokens) fail(ErrorKind::unsupported, "tokens meet other tokens");
  }

  SeparableInput separable(Value value) {
    if (meaning(value).form && meaning(value).state.empty()) return {axis(value), value.type(), {}, {}};
    Tensor one = meaning(value).known;
    if (meaning(value).form)
      return {std::nullopt, value.type(), Tensor(ElementType::f32, meaning(value).form->shape),
              Tensor(ElementType::f32, meaning(value).form->shape)};
    bool varies = model_.dependence->is_positional(*value.node);
    return {std::nullopt, value.type(), one, varies ? model_.positional->evaluate({value}, {2, 0})[0] : one};
  }

  void require_separable(const Node& node) {
    std::vector<SeparableInput> inputs;
    for (Value value : node.inputs()) inputs.push_back(separable(value));
    if (!keeps_tokens_apart(node, inputs, threads_)) fail(ErrorKind::unsupported, "it mixes tokens");
  }

  void lower_hidden(Node& node) {
    if (moes_.count(&node)) return lower_moe(node, moes_.at(&node));
    if (convs_.count(&node)) return lower_conv(node, convs_.at(&node));
    if (norms_.count(&node)) return lower_norm(node, norms_.at(&node));
    if (gated_.count(&node)) return lower_gated(node, gated_.at(&node));
    if (linears_.count(&node)) return lower_linears(linears_.at(&node).x);
    if (node.is("Parameter")) return define(node.output(), tokens_);
    if (node.is("ReadValue")) return lower_read_value(node);
    if (node.is("Convert") && keeps_values(node)) return define(node.output(), form(node.input(0)));
    if (node.is("Concat") && lower_append(node)) return;
    if (node.is("Gather") && constants_.is_constant(node.input(0))) return lower_embedding(node);
    if (is_movement(node)) return lower_movement(node);
    if (node.is("ScaledDotProductAttention")) return lower_attention(node);
    if (node.is("Clamp")) return lower_clamp(node);
    if (lower_activation(node) || lower_row_operation(node) || lower_elements(node)) return;
    if (node.is("Select")) return lower_select(node);
    if (node.is("Abs")) return lower_abs(node);
    if (node.is("Maximum") || node.is("Minimum") || node.is("Greater"))
      return lower_binary(node, operand(node.input(0)), operand(node.input(1)));
    if (node.is("Multiply") || node.is("Add") || node.is("Subtract") || node.is("Divide")) return lower_arithmetic(node);
    lower_reference(node);
  }

  void lower_norm(Node& node, const NormMatch& norm) {
    require_tokens_before_last(norm.x);
    View in = view(norm.x);
    View out = new_slot(in.width);
    auto size = static_cast<size_t>(form(norm.x).shape.back());
    auto vector = [&](Value v) {
      std::vector<float> values = v ? constants_.floats(v) : std::vector<float>{};
      if (values.size() == 1) values.resize(size, values[0]);
      return values;
    };
    auto kind = norm.is_layer_norm ? NormStep::Kind::layer : NormStep::Kind::rms;
    Shape shape = form(norm.x).shape;
    emit(node, std::make_unique<NormStep>(kind, in, out, size, norm.epsilon, vector(norm.weight), vector(norm.bias)));
    define(node.output(), identity_form(out, shape));
  }

  void lower_gated(Node& node, const GatedMatch& gated) {
    require_aligned(node, {gated.gate, gated.up});
    View gate = view(gated.gate), up = view(gated.up);
    View out = new_slot(gate.width);
    Shape shape = form(gated.gate).shape;
    emit(node, std::make_unique<GatedStep>(gated.activation, gate, up, out));
    define(node.output(), identity_form(out, shape));
  }

  void lower_clamp(Node& node) {
    require_aligned(node, {node.input(0)});
    View in = view(node.input(0)), out = new_slot(in.width);
    Shape shape = form(node.input(0)).shape;
    auto bound = [&](const char* name) { return static_cast<float>(node.attributes().get_float(name, 0)); };
    emit(node, std::make_unique<ClampStep>(bound("min"), bound("max"), in, out));
    define(node.output(), identity_form(out, shape));
  }

  bool lower_activation(Node& node) {
    auto match = match_activation(node.output(), constants_);
    if (!match) return false;
    require_aligned(node, {match->x});
    View in = view(match->x);
    View out = new_slot(in.width);
    Shape shape = form(match->x).shape;
    emit(node, std::make_unique<ActivationStep>(match->activation, in, out));
    define(node.output(), identity_form(out, shape));
    return true;
  }

  void lower_embedding(Node& node) {
    const Form& index = form(node.input(1));
    auto table = match_weight(node.input(0), constants_);
    float axis = 0;
    bool rows_by_id =
        table && constants_.is_uniform(node.input(2), axis) && axis == 0 && node.input(0).shape().rank() == 2 && index.size() == 1;
    if (!rows_by_id) fail(ErrorKind::unsupported, "not a lookup of one row of a table per token");
    View out = new_slot(table->columns);
    emit(node, std::make_unique<EmbeddingStep>(std::move(*table), *as_view(index), out));
    Shape shape = index.shape;
    shape.push_back(static_cast<int64_t>(out.width));
    define(node.output(), identity_form(out, shape));
  }

  void lower_movement(Node& node) {
    std::vector<MoveInput> inputs;
    std::string state;
    require_separable_movement(node);
    for (Value value : node.inputs()) {
      const Meaning& m = meaning(value);
      if (m.form)
        inputs.push_back({&*m.form, {}});
      else
        inputs.push_back({nullptr, m.known});
      if (!m.state.empty()) state = m.state;
    }
    std::vector<Form> forms = move(node, inputs, threads_);
    for (size_t i = 0; i < forms.size(); ++i) define(node.output(i), std::move(forms[i]));
    meanings_[&node][0].state = state;
  }

  /// Slots hold floats whatever the type, so a conversion that neither truncates nor compares with 0 does nothing.
  static bool keeps_values(const Node& convert) {
    ElementType from = convert.input(0).type(), to = convert.output_info().type;
    return from == to || is_float(to) || (is_integer(from) && is_integer(to) && bit_width(to) >= 32);
  }

  /// Movements of a state's empty past aside.
  void require_separable_movement(const Node& node) {
    bool moves_past = false;
    for (Value value : node.inputs()) moves_past |= !meaning(value).state.empty();
    if (!moves_past) require_separable(node);
  }

  // State: what is appended to the past goes to the cache.

  void lower_read_value(Node& node) {
    std::string id = node.attributes().get_string("variable_id");
    Shape shape = node.output_info().shape.dims();
    define(node.output(), Form{shape, {std::vector<Element>()}});
    if (element_count(shape) != 0) fail(ErrorKind::unsupported, "a state that is not empty before the first token");
    meanings_[&node][0].state = id;
  }

  /// Concat(past, new) along the tokens, which is also what is assigned to the state.
  bool lower_append(Node& node) {
    if (node.input_count() != 2 || !meanings_.count(node.input(0).node)) return false;
    std::string id = meaning(node.input(0)).state;
    if (id.empty()) return false;
    bool is_assigned = false;
    for (const auto& use : node.uses()) is_assigned |= use.node->is("Assign") && use.node->attributes().get_string("variable_id") == id;
    const Form& fresh = form(node.input(1));
    Shape shape = fresh.shape;
    auto axis = node.attributes().get_int("axis", 0);
    if (!is_assigned || shape.size() != 4 || (axis != 2 && axis != -2) || shape[2] != 1 || shape[0] != 1)
      fail(ErrorKind::unsupported, "a state that is not [batch, heads, tokens, dimensions] of keys or values");
    axes().set(node.output(), this->axis(node.input(1)));
    View stored = view(*node.input(1).node, fresh, node.input(1));
    states_.push_back({stored, shape});
    define(node.output(), identity_form(stored, shape));
    return true;
  }

  /// A convolution over the last tokens, which has a state of its own.
  void lower_conv(Node& node, const ConvMatch& conv) {
    if (axis(conv.x).from_back() != 0) fail(ErrorKind::unsupported, "tokens are not the last dimension of what is convolved");
    const Shape& shape = conv.weight.shape().dims();
    auto channels = static_cast<size_t>(shape[0]), kernel = static_cast<size_t>(shape[3]);
    View in = view(conv.x);
    if (in.width != channels) fail(ErrorKind::unsupported, "a convolution of {} channels over {}", channels, in.width);
    std::vector<float> stored = constants_.floats(conv.weight), weight(stored.size());
    for (size_t c = 0; c < channels; ++c)
      for (size_t k = 0; k < kernel; ++k) weight[k * channels + c] = stored[c * kernel + k];
    View out = new_slot(channels);
    emit(node, std::make_unique<ConvStep>(plan_.conv_layers.size(), std::move(weight), in, out));
    plan_.conv_layers.push_back({channels, kernel});
    convolved_states_.insert(conv.state);
    define(node.output(), identity_form(out, {1, shape[0], 1}));
    plan_.rows_selected_before = plan_.steps.size();
  }

  // Products.

  /// All products with constant weights that read `x` and can be one.
  void lower_linears(Value x) {
    std::vector<Node*> members;
    for (const auto& use : x.node->uses(x.index)) {
      Node* root = root_of(*use.node);
      if (root && linears_.at(root).x == x && demanded_.count(root) && !meanings_.count(root) &&
          std::find(members.begin(), members.end(), root) == members.end())
        members.push_back(root);
    }
    require_tokens_before_last(x);
    View in = view(x);
    Shape shape = form(x).shape;
    while (!members.empty()) lower_stack(take_stack(members), in, shape);
  }

  /// The node that a product's pattern ends with: its bias, if it has one.
  Node* root_of(Node& matmul) {
    if (!matmul.is("MatMul")) return nullptr;
    for (const auto& use : matmul.uses())
      if (auto found = linears_.find(use.node); found != linears_.end() && found->second.matmul == &matmul && use.node != &matmul)
        return use.node;
    return linears_.count(&matmul) ? &matmul : nullptr;
  }

  struct Part {
    Node* root;
    WeightMatrix weight;
  };

  WeightMatrix weight_of(const LinearMatch& linear) {
    auto weight = match_weight(linear.weight, constants_);
    if (!weight) fail(ErrorKind::unsupported, "weights of {} dimensions", linear.weight.shape().rank());
    if (linear.matmul->attributes().get_bool("transpose_b", false)) return *weight;
    return transposed(*weight, linear.weight);
  }

  /// Weights stored as [columns, rows].
  WeightMatrix transposed(WeightMatrix weight, Value value) {
    if (weight.scales.type() != ElementType::dynamic || weight.zero_points.type() != ElementType::dynamic ||
        bit_width(weight.codes.type()) < 16) {
      weight = {};
      weight.codes = convert(constants_.tensor(value), ElementType::f32);
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
  std::vector<Part> take_stack(std::vector<Node*>& members) {
    std::vector<Part> stack;
    for (auto member = members.begin(); member != members.end();) {
      std::vector<WeightMatrix> weights;
      for (const Part& part : stack) weights.push_back(part.weight);
      weights.push_back(weight_of(linears_.at(*member)));
      bool may_share = stack.empty() || (routers_.count(*member) + routers_.count(stack[0].root) == 0 && can_stack(weights));
      if (may_share) {
        stack.push_back({*member, weights.back()});
        member = members.erase(member);
      } else {
        ++member;
      }
    }
    return stack;
  }

  void lower_stack(const std::vector<Part>& stack, View in, const Shape& shape) {
    PackRequest request;
    std::vector<float> bias;
    size_t width = 0;
    bool has_bias = false;
    for (const Part& part : stack) {
      const LinearMatch& linear = linears_.at(part.root);
      if (part.weight.columns != in.width) fail(ErrorKind::corrupt, "weights of {} columns for {} inputs", part.weight.columns, in.width);
      std::vector<float> values = linear.bias ? constants_.floats(linear.bias) : std::vector<float>{0};
      if (values.size() == 1) values.resize(part.weight.rows, values[0]);
      has_bias |= static_cast<bool>(linear.bias);
      bias.insert(bias.end(), values.begin(), values.end());
      width += part.weight.rows;
      request.parts.push_back(part.weight);
    }
    bool is_router = routers_.count(stack[0].root) > 0;
    if (!is_router) request.options = pack_options(plan_.precision, stack[0].weight);
    View out = new_slot(width);
    auto& step = emit(*stack[0].root, std::make_unique<LinearStep>(plan_.weight_requests.size(), in, out));
    if (has_bias) step.set_bias(std::move(bias));
    if (is_router) step.set_exact();
    plan_.weight_requests.push_back(std::move(request));
    size_t offset = 0;
    for (const Part& part : stack) {
      Shape result = shape;
      result.back() = static_cast<int64_t>(part.weight.rows);
      define(part.root->output(), identity_form({out.slot, offset, part.weight.rows}, result));
      offset += part.weight.rows;
    }
    if (stack.size() == 1) producers_[out.slot] = {plan_.steps.size() - 1, stack[0].root};
  }

  // Experts.

  void lower_moe(Node& node, const MoeMatch& moe) {
    for (Value value : {moe.x, moe.chosen, moe.weights}) require_tokens_before_last(value);
    View x = view(moe.x), chosen = view(moe.chosen), weights = view(moe.weights);
    MoeExperts experts = request_experts(moe, x.width, constants_, plan_);
    View out = new_slot(x.width);
    emit(node, std::make_unique<MoeStep>(std::move(experts), x, chosen, weights, out));
    const PartialShape& shape = node.output_info().shape;
    define(node.output(), identity_form(out, shape.rank_is_known() && shape.is_static() && element_count(shape.dims()) == out.width
                                                 ? shape.dims()
                                                 : Shape{1, static_cast<int64_t>(out.width)}));
  }

  /// The largest values, in their order or, where the graph leaves it open, in any.
  bool is_plain_top_k(const Node& node) {
    if (!node.attributes().equals("mode", "max", "max") || !constants_.is_constant(node.input(1))) return false;
    bool is_single = constants_.integers(node.input(1)) == std::vector<int64_t>{1};
    return is_single || node.attributes().equals("sort", "value", "value") || node.attributes().equals("sort", "none", "value");
  }

  /// Softmax, TopK, sums and maxima over the last dimension.
  bool lower_row_operation(Node& node) {
    bool is_sum = node.is("ReduceSum"), is_max = node.is("ReduceMax"), is_top_k = node.is("TopK"), is_reduction = is_sum || is_max;
    if (!node.is("Softmax") && !is_reduction && !is_top_k) return false;
    const Shape shape = form(node.input(0)).shape;
    auto rank = static_cast<int64_t>(shape.size());
    int64_t along = node.attributes().get_int("axis", 1);
    if (is_reduction) {
      std::vector<int64_t> dimensions = constants_.is_constant(node.input(1)) ? constants_.integers(node.input(1)) : std::vector<int64_t>{};
      if (dimensions.size() != 1) return false;
      along = dimensions[0];
    }
    if (rank == 0 || (along != -1 && along != rank - 1) || element_count(shape) == 0) return false;
    require_tokens_before_last(node.input(0));
    if (is_top_k && !is_plain_top_k(node)) return false;
    View in = view(node.input(0));
    auto size = static_cast<size_t>(shape.back());
    Shape result = shape;
    if (is_reduction) result.back() = 1;
    if (is_top_k) result.back() = std::min<int64_t>(constants_.integers(node.input(1)).at(0), shape.back());
    std::vector<View> outputs;
    for (size_t i = 0; i < node.output_count(); ++i) outputs.push_back(new_slot(element_count(result)));
    auto kind = is_sum ? RowStep::Kind::sum : is_max ? RowStep::Kind::max : is_top_k ? RowStep::Kind::top_k : RowStep::Kind::softmax;
    emit(node, std::make_unique<RowStep>(kind, in, size, outputs));
    if (is_reduction && !node.attributes().get_bool("keep_dims", false)) result.pop_back();
    for (size_t i = 0; i < outputs.size(); ++i) define(node.output(i), identity_form(outputs[i], result));
    return true;
  }

  // What chooses elements.

  /// GatherElements and ScatterElementsUpdate along the last dimension.
  bool lower_elements(Node& node) {
    bool is_gather = node.is("GatherElements");
    if (!is_gather && !node.is("ScatterElementsUpdate")) return false;
    Value data = node.input(0), indices = node.input(1);
    if (!meaning(indices).form || (is_gather && !meaning(data).form)) return false;
    Shape index_shape = form(indices).shape, shape = is_gather ? form(data).shape : node.output_info().shape.dims();
    auto rank = static_cast<int64_t>(shape.size());
    if (!is_gather && (!node.attributes().equals("reduction", "none", "none") || !constants_.is_constant(node.input(3)))) return false;
    std::vector<int64_t> axes = is_gather ? std::vector<int64_t>{node.attributes().get_int("axis", 0)} : constants_.integers(node.input(3));
    if (axes.size() != 1 || rank == 0 || (axes[0] != -1 && axes[0] != rank - 1)) return false;
    if (index_shape.size() != shape.size() || !std::equal(shape.begin(), shape.end() - 1, index_shape.begin())) return false;
    if (element_count(shape) == 0 || element_count(index_shape) == 0) return false;
    require_tokens_before_last(indices);
    auto size = static_cast<size_t>(shape.back());
    View from = view(indices);
    if (is_gather) {
      require_tokens_before_last(data);
      View in = view(data), out = new_slot(element_count(index_shape));
      emit(node, std::make_unique<GatherElementsStep>(in, size, from, out));
      define(node.output(), identity_form(out, index_shape));
      return true;
    }
    ScatterElementsStep::Source x = scatter_source(data), updates = scatter_source(node.input(2));
    View out = new_slot(element_count(shape));
    if ((!x.is_number && x.view.width != out.width) || (!updates.is_number && updates.view.width != from.width))
      fail(ErrorKind::unsupported, "updates that are not one for each index");
    emit(node, std::make_unique<ScatterElementsStep>(x, size, from, updates, out));
    define(node.output(), identity_form(out, shape));
    return true;
  }

  /// A number, repeated to whatever shape, or activations.
  ScatterElementsStep::Source scatter_source(Value value) {
    Value number = value;
    while (number.node->is("Broadcast")) number = number.node->input(0);
    ScatterElementsStep::Source source;
    source.is_number = constants_.is_uniform(number, source.number);
    if (source.is_number) return source;
    require_tokens_before_last(value);
    source.view = view(value);
    return source;
  }

  void lower_select(Node& node) {
    Shape shape;
    std::vector<BinaryStep::Operand> operands;
    std::vector<Meaning> meanings;
    for (Value value : node.inputs()) {
      meanings.push_back(operand(value));
      shape = broadcast_shape(shape, shape_of(meanings.back()));
    }
    for (const Meaning& m : meanings) operands.push_back(broadcast_operand(node, m, shape));
    View out = new_slot(element_count(shape));
    emit(node, std::make_unique<SelectStep>(operands[0], operands[1], operands[2], out));
    define(node.output(), identity_form(out, shape));
  }

  /// The larger one of x and -x.
  void lower_abs(Node& node) {
    Meaning x = operand(node.input(0)), minus = x;
    minus.form = negated(*x.form);
    lower_binary(node, x, minus);
  }

  // Sums and products of activations.

  void lower_arithmetic(Node& node) {
    Meaning a = operand(node.input(0)), b = operand(node.input(1));
    if (node.is("Add") && lower_residual(node, a, b)) return;
    if (auto lazy = as_form(node, a, b)) return define(node.output(), std::move(*lazy));
    lower_binary(node, a, b);
  }

  /// Products with constants and with positions, and sums of such products, stay forms.
  std::optional<Form> as_form(const Node& node, const Meaning& a, const Meaning& b) {
    if (node.is("Multiply")) {
      if (!a.form) return scaled(*b.form, a.known);
      if (!b.form) return scaled(*a.form, b.known);
      if (is_positional(node.input(1)) && !is_positional(node.input(0))) return multiplied(*a.form, *b.form);
      if (is_positional(node.input(0)) && !is_positional(node.input(1))) return multiplied(*b.form, *a.form);
      return std::nullopt;
    }
    float divisor = 0;
    if (node.is("Divide")) {
      if (b.form || !constants_.is_uniform(node.input(1), divisor)) return std::nullopt;
      return scaled(*a.form, Tensor::scalar(1 / divisor));
    }
    if (!a.form || !b.form || !(a.form->has_multiplier() || b.form->has_multiplier())) return std::nullopt;
    if (a.form->terms.size() + b.form->terms.size() > 2) return std::nullopt;
    return sum(*a.form, node.is("Subtract") ? negated(*b.form) : *b.form);
  }

  bool is_positional(Value value) const { return model_.dependence->is_positional(*value.node); }

  /// x + product: the product's step adds x itself when it comes after x and nothing else reads the product.
  bool lower_residual(Node& node, const Meaning& a, const Meaning& b) {
    if (!a.form || !b.form || a.form->shape.empty() || element_count(a.form->shape) != element_count(b.form->shape)) return false;
    for (size_t side : {1, 0}) {
      const Form& product = side ? *b.form : *a.form;
      const Form& residual = side ? *a.form : *b.form;
      auto from = as_view(product), to = as_view(residual);
      if (!from || !to) continue;
      auto producer = producers_.find(from->slot);
      if (producer == producers_.end() || from->width != plan_.slots[from->slot].width || !is_read_once(*producer->second.root, node))
        continue;
      if (first_step_of(to->slot) >= producer->second.step) continue;
      auto& step = static_cast<LinearStep&>(*plan_.steps[producer->second.step]);
      if (step.has_residual()) continue;
      View out = new_slot(from->width);
      Shape shape = broadcast_shape(a.form->shape, b.form->shape);
      step.set_residual(*to, out);
      define(node.output(), identity_form(out, shape));
      return true;
    }
    return false;
  }

  /// Whether the only way from `node` leads through reshapes to `reader`.
  static bool is_read_once(const Node& node, const Node& reader) {
    const Node* at = &node;
    for (;;) {
      std::vector<Node::Use> uses;
      for (const auto& use : at->uses())
        if (!use.node->is("ShapeOf")) uses.push_back(use);
      if (uses.size() != 1) return false;
      if (uses[0].node == &reader) return true;
      if (!is_movement(*uses[0].node)) return false;
      at = uses[0].node;
    }
  }

  /// The step that first writes a slot.
  size_t first_step_of(size_t slot) const {
    if (plan_.slots[slot].kind != Slot::Kind::activation) return 0;
    for (size_t i = 0; i < plan_.steps.size(); ++i)
      for (View out : plan_.steps[i]->outputs())
        if (out.slot == slot) return i;
    return plan_.steps.size();
  }

  static const Shape& shape_of(const Meaning& m) { return m.form ? m.form->shape : m.known.shape(); }

  BinaryStep::Operand broadcast_operand(const Node& node, const Meaning& m, const Shape& shape) {
    BinaryStep::Operand made;
    if (m.form)
      made.view = view(node, *m.form);
    else
      made.constant = to_floats(m.known);
    if (element_count(shape_of(m)) != element_count(shape)) made.index = broadcast_indices(shape_of(m), shape);
    return made;
  }

  void lower_binary(Node& node, const Meaning& a, const Meaning& b) {
    Shape shape = broadcast_shape(shape_of(a), shape_of(b));
    BinaryStep::Operand left = broadcast_operand(node, a, shape), right = broadcast_operand(node, b, shape);
    View out = new_slot(element_count(shape));
    auto kind = node.is("Add")        ? BinaryStep::Kind::add
                : node.is("Subtract") ? BinaryStep::Kind::subtract
                : node.is("Multiply") ? BinaryStep::Kind::multiply
                : node.is("Divide")   ? BinaryStep::Kind::divide
                : node.is("Minimum")  ? BinaryStep::Kind::minimum
                : node.is("Greater")  ? BinaryStep::Kind::greater
                                      : BinaryStep::Kind::maximum;
    emit(node, std::make_unique<BinaryStep>(kind, std::move(left), std::move(right), out));
    define(node.output(), identity_form(out, shape));
  }

  // Attention.

  void lower_attention(Node& node) {
    Form q = form(node.input(0)), k = form(node.input(1)), v = form(node.input(2));
    if (q.shape.size() != 4 || k.shape.size() != 4 || v.shape.size() != 4 || q.shape[2] != 1)
      fail(ErrorKind::unsupported, "queries of shape {}", nibble::to_string(q.shape));
    for (size_t i : {0, 1, 2})
      if (axis(node.input(i)).axis != 2) fail(ErrorKind::unsupported, "tokens are not the third dimension of queries, keys and values");
    auto heads = static_cast<size_t>(q.shape[1]);
    auto [keys, key_shape] = cached(k, heads);
    auto [values, value_shape] = cached(v, heads);
    if (key_shape[1] != value_shape[1]) fail(ErrorKind::unsupported, "{} heads of keys, {} of values", key_shape[1], value_shape[1]);
    AttentionParameters parameters;
    parameters.layer = plan_.kv_layers.size();
    parameters.heads = heads;
    parameters.scale = 1 / std::sqrt(static_cast<float>(q.shape[3]));
    if (node.input_count() > 4) parameters.scale = scale_of(node.input(4));
    parameters.softcap = static_cast<float>(node.attributes().get_float("softcap", 0));
    MaskKind mask = mask_of(node, heads);
    parameters.window = mask.window;
    plan_.kv_layers.push_back({static_cast<size_t>(key_shape[1]), static_cast<size_t>(key_shape[3]), static_cast<size_t>(value_shape[3])});
    std::vector<float> sinks = node.input_count() > 5 ? sinks_of(node.input(5), heads) : std::vector<float>{};
    View out = new_slot(heads * static_cast<size_t>(value_shape[3]));
    emit(node, std::make_unique<AttentionStep>(parameters, mask.slopes, std::move(sinks), view(node, q), keys, values, out));
    define(node.output(), identity_form(out, {1, q.shape[1], 1, value_shape[3]}));
    plan_.rows_selected_before = plan_.steps.size();
  }

  float scale_of(Value value) {
    const Meaning& m = operand(value);
    if (m.form || m.known.size() != 1)
      fail(ErrorKind::unsupported, "{}: a scale of attention that is not one number", describe(*value.node));
    return to_floats(m.known)[0];
  }

  std::vector<float> sinks_of(Value value, size_t heads) {
    std::vector<float> sinks = constants_.floats(value);
    if (sinks.size() == 1) sinks.resize(heads, sinks[0]);
    if (sinks.size() != heads) fail(ErrorKind::unsupported, "{} sinks for {} heads", sinks.size(), heads);
    return sinks;
  }

  /// The state that keys or values come from, as heads of queries read it: query head h must read head h / group.
  std::pair<View, Shape> cached(const Form& form, size_t heads) {
    auto dimensions = static_cast<size_t>(form.shape[3]);
    auto repeated = static_cast<size_t>(form.shape[1]);
    for (const CachedState& state : states_) {
      auto state_heads = static_cast<size_t>(state.shape[1]);
      if (form.terms.size() != 1 || static_cast<size_t>(state.shape[3]) != dimensions || heads % state_heads != 0) continue;
      bool same = form.terms[0][0].slot == static_cast<int32_t>(state.view.slot);
      for (size_t h = 0; same && h < repeated; ++h) {
        size_t source = repeated == 1 ? 0 : h / (repeated / std::max<size_t>(1, std::min(repeated, state_heads)));
        for (size_t d = 0; same && d < dimensions; ++d) {
          const Element& e = form.terms[0][h * dimensions + d];
          same = e.slot == static_cast<int32_t>(state.view.slot) && e.multiplier < 0 && e.factor == 1 &&
                 static_cast<size_t>(e.column) == state.view.offset + source * dimensions + d;
        }
      }
      if (same) return {state.view, state.shape};
    }
    fail(ErrorKind::unsupported, "keys or values that are not the cached ones");
  }

  MaskKind mask_of(const Node& node, size_t heads) {
    if (node.attributes().get_bool("causal", false)) return {};
    if (node.input_count() < 4) fail(ErrorKind::unsupported, "attention without a mask");
    Value mask = node.input(3);
    if (!model_.dependence->is_positional(*mask.node)) fail(ErrorKind::unsupported, "a mask that depends on more than positions");
    auto key = std::pair{mask.node, mask.index};
    auto known = masks_.find(key);
    if (known == masks_.end()) known = masks_.emplace(key, classify_mask(mask, heads, *model_.positional)).first;
    return known->second;
  }

  // The rest.

  void lower_reference(Node& node) {
    if (!node.op().evaluate) fail(ErrorKind::unsupported, "this operation cannot run");
    require_separable(node);
    std::vector<ReferenceStep::Input> inputs;
    std::vector<Tensor> tensors, results(node.output_count());
    for (Value value : node.inputs()) {
      Meaning m = operand(value);
      if (m.form) {
        inputs.push_back({view(value), value.type(), m.form->shape, {}});
        tensors.push_back(Tensor(value.type(), m.form->shape));
      } else {
        inputs.push_back({{}, {}, {}, m.known});
        tensors.push_back(m.known);
      }
    }
    EvalContext context{node, tensors, results, threads_};
    node.op().evaluate(context);
    std::vector<View> outputs;
    for (size_t i = 0; i < results.size(); ++i) {
      outputs.push_back(new_slot(results[i].size()));
      define(node.output(i), identity_form(outputs.back(), results[i].shape()));
    }
    emit(node, std::make_unique<ReferenceStep>(node, std::move(inputs), std::move(outputs)));
  }

  void finish(Value logits) {
    plan_.logits = view(logits);
    plan_.vocabulary = plan_.logits.width;
    if (plan_.kv_layers.empty()) fail(ErrorKind::unsupported, "no attention over a cache");
    for (const Node* state : model_.graph.of_type("ReadValue"))
      if (!demanded_.count(state) && !convolved_states_.count(state))
        fail(ErrorKind::unsupported, "{}: a state that nothing reads", describe(*state));
    if (states_.size() != 2 * plan_.kv_layers.size()) fail(ErrorKind::unsupported, "states that are not keys and values");
    plan_.place_slots();
  }

  struct Producer {
    size_t step;
    Node* root;
  };

  LoweredModel& model_;
  Plan& plan_;
  ThreadPool& threads_;
  ConstantValues constants_;
  View tokens_;
  std::unordered_set<const Node*> demanded_;
  std::unordered_map<const Node*, std::vector<Meaning>> meanings_;
  std::unordered_map<const Node*, MoeMatch> moes_;
  std::unordered_map<const Node*, ConvMatch> convs_;
  std::unordered_set<const Node*> convolved_states_;
  std::unordered_map<const Node*, NormMatch> norms_;
  std::unordered_map<const Node*, GatedMatch> gated_;
  std::unordered_map<const Node*, LinearMatch> linears_;
  std::unordered_set<const Node*> routers_;
  std::vector<CachedState> states_;
  std::map<std::pair<Node*, size_t>, MaskKind> masks_;
  std::unordered_map<size_t, Producer> producers_;  // by slot, of single products
};

}  // namespace

namespace {

/// The shapes of inputs and states, which lowering narrows to one token.
class InterfaceShapes {
 public:
  explicit InterfaceShapes(const Graph& graph) {
    for (const auto& node : graph.nodes())
      for (const char* name : {"shape", "variable_shape"})
        if (const std::string* text = node->attributes().find(name); text && (node->is("Parameter") || node->is("ReadValue")))
          shapes_.push_back({node.get(), name, *text});
  }
  void restore(Graph& graph) const {
    for (const auto& [node, name, text] : shapes_) node->attributes().set(name, text);
    graph.infer();
  }

 private:
  struct Entry {
    Node* node;
    const char* name;
    std::string text;
  };
  std::vector<Entry> shapes_;
};

}  // namespace

std::unique_ptr<LoweredModel> lower(Graph& graph, const Precision& precision, ThreadPool& threads, std::string& obstacle) {
  decompress_in_f32(graph);
  fuse_attention(graph);
  InterfaceShapes shapes(graph);
  auto model = std::make_unique<LoweredModel>();
  model->graph = std::move(graph);
  model->plan.precision = precision;
  try {
    model->dependence = std::make_unique<TokenDependence>(model->graph);
    model->positional = std::make_unique<PositionalValues>(model->graph, *model->dependence, threads);
    Lowering(*model, threads).run();
    return model;
  } catch (const Error& error) {
    obstacle = error.what();
    graph = std::move(model->graph);
    shapes.restore(graph);
    return nullptr;
  }
}

}  // namespace nibble::cpu
