#include "device/cpu/lowering.hpp"

#include <string>
#include <vector>

#include "base/fail.hpp"
#include "device/cpu/lowering/graph_patterns.hpp"
#include "device/cpu/lowering/lower_arithmetic.hpp"
#include "device/cpu/lowering/lower_attention.hpp"
#include "device/cpu/lowering/lower_experts.hpp"
#include "device/cpu/lowering/lower_movement.hpp"
#include "device/cpu/lowering/lower_products.hpp"
#include "device/cpu/lowering/lower_rows.hpp"
#include "device/cpu/lowering/lower_selection.hpp"
#include "device/cpu/lowering/lower_states.hpp"
#include "device/cpu/lowering/plan_builder.hpp"
#include "device/cpu/lowering/token_checks.hpp"
#include "passes/decompress_in_f32.hpp"
#include "passes/fuse_attention.hpp"

namespace nibble::cpu {

namespace {

/// The only output, logits.
Value logits_of(const Graph& graph) {
  Node* result = graph.find_result("logits");
  if (!result) fail(ErrorKind::unsupported, "there is no output 'logits'");
  if (graph.results().size() > 1) fail(ErrorKind::unsupported, "there are outputs besides 'logits'");
  return result->input(0);
}

/// Visits the nodes that the logits need and lets each kind of operation add its steps.
class Lowering {
 public:
  Lowering(LoweredModel& model, ThreadPool& threads)
      : builder_(model, threads), logits_(logits_of(model.graph)), patterns_(builder_, logits_) {}

  void run() {
    tokens_ = builder_.new_slot(Slot::Kind::token_ids, 1);
    for (Node* node : builder_.graph().topological_order())
      if (patterns_.is_needed(*node) && builder_.is_hidden(*node) && !builder_.is_defined(*node)) lower(*node);
    finish();
  }

 private:
  void lower(Node& node) {
    try {
      if (const Pattern* pattern = patterns_.find(node))
        std::visit([&](const auto& match) { lower_pattern(node, match); }, *pattern);
      else
        lower_operation(node);
      require_token_axes(builder_, node);
    } catch (const Error& error) {
      fail(error.kind(), "{}: {}", describe(node), error.what());
    }
  }

  template <class Match>
  void lower_pattern(Node& node, const Match& match) {
    cpu::lower(builder_, node, match);
  }
  void lower_pattern(Node&, const LinearMatch& linear) { products_.lower(linear.x); }
  void lower_pattern(Node& node, const ConvMatch& conv) { states_.lower(node, conv); }

  void lower_operation(Node& node) {
    if (node.is("Parameter")) return builder_.define(node.output(), tokens_);
    if (node.is("ReadValue")) return states_.lower_read(node);
    if (node.is("ScaledDotProductAttention")) return attention_.lower(node);
    if (node.is("Clamp")) return lower_clamp(builder_, node);
    if (states_.lower_append(node) || lower_embedding(builder_, node) || lower_movement(builder_, node)) return;
    if (lower_activation(builder_, node) || lower_row_operation(builder_, node) || lower_selection(builder_, node)) return;
    if (!lower_arithmetic(builder_, products_, node)) lower_reference(builder_, node);
  }

  void finish() {
    Plan& plan = builder_.plan();
    plan.logits = builder_.view(logits_);
    plan.vocabulary = plan.logits.width;
    if (plan.kv_layers.empty()) fail(ErrorKind::unsupported, "no attention over a cache");
    for (const Node* state : builder_.graph().of_type("ReadValue"))
      if (!patterns_.is_needed(*state) && !states_.is_convolved(*state))
        fail(ErrorKind::unsupported, "{}: a state that nothing reads", describe(*state));
    if (states_.cached_count() != 2 * plan.kv_layers.size()) fail(ErrorKind::unsupported, "states that are not keys and values");
    plan.place_slots();
  }

  PlanBuilder builder_;
  Value logits_;
  GraphPatterns patterns_;
  View tokens_;
  ProductLowering products_{builder_, patterns_};
  StateLowering states_{builder_};
  AttentionLowering attention_{builder_, states_};
};

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
