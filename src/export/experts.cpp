#include <fmt/format.h>

#include <limits>

#include "base/fail.hpp"
#include "export/blocks.hpp"

// A mixture of experts as OpenVINO's plug-ins know it: every token is tiled to all experts, whose matrices are stacked, and the outputs
// are added up by a table of weights that is zero but for the chosen experts. The plug-ins (and Nibble's own engine) find this structure
// and compute the chosen ones only, so operations and their order are not to be changed lightly.
namespace nibble {

void check_moe_config(const MoeConfig& config, const std::string& where) {
  constexpr int64_t kMaxExperts = 16384;
  const RouterConfig& router = config.router;
  if (config.experts < 1 || config.experts > kMaxExperts)
    fail(ErrorKind::corrupt, "{}: {} experts; a mixture has 1 to {}", where, config.experts, kMaxExperts);
  if (config.chosen < 1 || config.chosen > config.experts)
    fail(ErrorKind::corrupt, "{}: {} experts for every token cannot be chosen among {}", where, config.chosen, config.experts);
  if (router.groups < 1 || config.experts % router.groups != 0)
    fail(ErrorKind::corrupt, "{}: {} experts do not make {} groups", where, config.experts, router.groups);
  if (router.kept_groups < 1 || router.kept_groups > router.groups)
    fail(ErrorKind::corrupt, "{}: {} groups cannot be kept of {}", where, router.kept_groups, router.groups);
  if (router.kept_groups < router.groups && router.group_score == GroupScore::two_best && config.experts / router.groups < 2)
    fail(ErrorKind::corrupt, "{}: groups of one expert have no two best ones", where);
  if (router.kind == RouterKind::sparse_mixer && config.chosen != 2)
    fail(ErrorKind::unsupported, "{}: this family's router chooses 2 experts, not {}", where, config.chosen);
  if (config.shared && config.shared->intermediate < 1) fail(ErrorKind::corrupt, "{}: the shared expert has no width", where);
}

namespace {

/// Experts of tokens, each [T,k].
struct Routing {
  Value chosen, weights;
};

/// Builds the router of one layer.
class Router {
 public:
  Router(GraphBuilder& b, ModelWeights& weights, const std::string& path, int64_t hidden, const MoeConfig& config)
      : b_(b), weights_(weights), path_(path), hidden_(hidden), experts_(config.experts), chosen_(config.chosen), config_(config.router) {}

  /// tokens [T,H]
  Routing run(Value tokens) {
    Value logits = linear(b_, weights_, tokens, path_ + "." + config_.name, hidden_, experts_, config_.has_bias);
    Routing routing = config_.kind == RouterKind::sparse_mixer ? mixed(logits) : largest(logits);
    if (config_.is_normalized) {
      Value sum = reduced("ReduceSum", routing.weights, "aten::sum");
      if (config_.sum_epsilon != 0) sum = b_.add(sum, b_.f32(config_.sum_epsilon, 2));
      routing.weights = b_.binary("Divide", routing.weights, sum, "aten::div");
    }
    if (config_.scale != 1) routing.weights = b_.multiply(routing.weights, b_.f32(config_.scale, 2));
    return routing;
  }

 private:
  Value softmax(Value x) { return b_.op("Softmax", {x}, {{"axis", "1"}}, "aten::softmax", "opset8"); }

  Value reduced(std::string_view type, Value x, std::string_view torch_name) {
    return b_.op(type, {x, b_.i64s({-1})}, {{"keep_dims", "true"}}, torch_name);
  }

  /// The k largest of the last dimension and where they are.
  Routing top(Value x, int64_t k) {
    Attributes attributes{{"axis", "-1"}, {"mode", "max"}, {"sort", "value"}, {"index_element_type", "i64"}, {"stable", "false"}};
    Value values = b_.op("TopK", {x, b_.i64(k)}, std::move(attributes), "aten::topk", "opset11");
    return {{values.node, 1}, values};
  }

  Value at(Value x, Value indices) { return b_.op("GatherElements", {x, indices}, {{"axis", "1"}}, "aten::gather", "opset6"); }

  Routing largest(Value logits) {
    Value scores = config_.kind == RouterKind::softmax   ? softmax(logits)
                   : config_.kind == RouterKind::sigmoid ? b_.op("Sigmoid", {logits}, {}, "aten::sigmoid")
                                                         : logits;
    Value choice = scores;
    if (config_.has_choice_bias)
      choice = b_.add(choice, weights_.vector(fmt::format("{}.{}.e_score_correction_bias", path_, config_.name), experts_, 2));
    if (config_.kept_groups < config_.groups) choice = limited(choice);
    Routing routing = top(choice, chosen_);
    if (config_.has_choice_bias) routing.weights = at(scores, routing.chosen);
    if (config_.kind == RouterKind::kept_softmax) routing.weights = softmax(routing.weights);
    return routing;
  }

  /// Scores of experts whose group is not kept become 0.
  Value limited(Value scores) {
    int64_t size = experts_ / config_.groups;
    Value groups = b_.reshape(scores, {-1, config_.groups, size});  // [T,groups,size]
    bool is_best = config_.group_score == GroupScore::best;
    Value values = is_best ? groups : top(groups, 2).weights;
    Value sum =
        b_.op(is_best ? "ReduceMax" : "ReduceSum", {values, b_.i64s({-1})}, {{"keep_dims", "false"}}, is_best ? "aten::max" : "aten::sum");
    Value kept = top(sum, config_.kept_groups).chosen;
    Value ones = b_.op("Broadcast", {b_.f32(1.0f), b_.shape_of(kept)}, {{"mode", "numpy"}}, "aten::ones", "opset3");
    Value zeros = b_.op("Broadcast", {b_.f32(0.0f), b_.shape_of(sum)}, {{"mode", "numpy"}}, "aten::zeros_like", "opset3");
    Value mask = b_.unsqueeze(scatter(zeros, kept, ones), -1);
    return b_.reshape(b_.multiply(groups, mask), {-1, experts_});
  }

  Value scatter(Value x, Value indices, Value updates) {
    return b_.op("ScatterElementsUpdate", {x, indices, updates, b_.i64s({1})}, {{"reduction", "none"}, {"use_init_val", "true"}},
                 "aten::scatter", "opset12");
  }

  /// The best expert, then the best of the others; each weighs its share of the softmax over the logits near it.
  Routing mixed(Value logits) {
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    Routing first = top(logits, 1);
    Value shape = b_.shape_of(first.chosen);
    Value never = b_.op("Broadcast", {b_.f32(kNever), shape}, {{"mode", "numpy"}}, "aten::scatter", "opset3");
    Value others = scatter(logits, first.chosen, never);
    Routing second = top(others, 1);
    auto share = [&](Value candidates, const Routing& best) {
      Value size = b_.op("Abs", {logits}, {}, "aten::abs");
      size = b_.binary("Maximum", size, best.weights, "aten::clamp");
      Value distance = b_.binary("Divide", b_.binary("Subtract", best.weights, logits, "aten::sub"), size, "aten::div");
      Value is_far = b_.binary("Greater", distance, b_.f32(2 * config_.jitter, 2), "aten::gt");
      Value near = b_.op("Select", {is_far, b_.f32(kNever), candidates}, {{"auto_broadcast", "numpy"}}, "aten::masked_fill");
      return at(softmax(near), best.chosen);
    };
    Value weights = b_.concat({share(logits, first), share(others, second)}, -1);
    return {b_.concat({first.chosen, second.chosen}, -1), weights};
  }

  GraphBuilder& b_;
  ModelWeights& weights_;
  const std::string& path_;
  int64_t hidden_, experts_, chosen_;
  const RouterConfig& config_;
};

/// Builds the block of one layer.
class ExpertsBlock {
 public:
  ExpertsBlock(GraphBuilder& b, ModelWeights& weights, const std::string& path, int64_t hidden, const MoeConfig& config)
      : b_(b), weights_(weights), path_(path), hidden_(hidden), config_(config) {}

  Value run(Value x) {
    Value tokens = b_.reshape(x, {-1, hidden_});
    Routing routing = Router(b_, weights_, path_, hidden_, config_).run(tokens);
    Value sum = weighted_sum(outputs(tokens), routing);
    Value routed = b_.op("Reshape", {sum, b_.shape_of(x)}, {{"special_zero", "false"}}, "aten::reshape");
    return config_.shared ? b_.add(routed, shared(x, *config_.shared)) : routed;
  }

 private:
  int64_t experts() const { return config_.experts; }

  /// tokens [T,H] -> [E,T,H]: what every expert makes of every token.
  Value outputs(Value tokens) {
    GraphBuilder::Module module(b_, path_ + ".experts");
    Value tiled = b_.op("Tile", {tokens, b_.i64s({experts(), 1})}, {}, "aten::repeat");
    tiled = b_.reshape(tiled, {experts(), -1, hidden_});
    Value hidden = config_.clamped ? clamped(tiled, *config_.clamped) : gated(tiled);
    return project(hidden, "down_proj", config_.intermediate, hidden_);
  }

  /// x [E,T,in] -> [E,T,out]
  Value project(Value x, std::string_view what, int64_t in, int64_t out) {
    std::string layer = fmt::format("{}.experts.{}", path_, what), name = layer + ".weight";
    GraphBuilder::Module module(b_, layer);
    Value matrices = weights_.matrix(name, {experts(), out, in}, "linear");
    std::string torch_name = weights_.consumer_name(name, "linear");
    Value product = b_.matmul(x, matrices, true, torch_name);
    if (!config_.clamped) return product;
    return b_.binary("Add", product, weights_.vector(layer + ".bias", Shape{experts(), 1, out}), torch_name);
  }

  Value gated(Value x) {
    Value gate = activation(b_, project(x, "gate_proj", hidden_, config_.intermediate), config_.activation);
    Value up = project(x, "up_proj", hidden_, config_.intermediate);
    return b_.multiply(gate, up);
  }

  Value clamped(Value x, const ClampedGate& config) {
    Value both = project(x, "gate_up_proj", hidden_, 2 * config_.intermediate);
    auto every_second = [&](int64_t first) {
      constexpr int64_t kToEnd = std::numeric_limits<int64_t>::max();
      return b_.op("Slice", {both, b_.i64s({first}), b_.i64s({kToEnd}), b_.i64s({2}), b_.i64s({2})}, {}, "aten::slice");
    };
    Attributes limits{{"min", fmt::format("{}", -config.limit)}, {"max", fmt::format("{}", config.limit)}};
    Value up = b_.add(b_.op("Clamp", {every_second(1)}, std::move(limits), "aten::clamp"), b_.f32(1.0f, 3));
    Value gate = b_.binary("Minimum", every_second(0), b_.f32(config.limit, 3), "aten::clamp");
    return b_.multiply(up, b_.op("Swish", {gate, b_.f32(config.slope)}, {}, "aten::silu"));
  }

  /// outputs [E,T,H] -> [T,1,H]
  Value weighted_sum(Value outputs, const Routing& routing) {
    Value rows = b_.gather(b_.shape_of(routing.chosen), b_.i64s({0}), 0, "aten::size");
    Value shape = b_.concat({rows, b_.i64s({experts()})}, 0, "prim::ListConstruct");
    Value none = b_.op("Broadcast", {b_.f32(0.0f), shape}, {{"mode", "numpy"}}, "aten::zeros", "opset3");
    Value table = b_.op("ScatterElementsUpdate", {none, routing.chosen, routing.weights, b_.i64s({1})},
                        {{"reduction", "none"}, {"use_init_val", "true"}}, "aten::scatter", "opset12");
    Value by_expert = b_.reshape(b_.transpose(table, {1, 0}), {experts(), -1, 1});
    Value weighted = b_.multiply(b_.reshape(outputs, {experts(), -1, 1, hidden_}), b_.unsqueeze(by_expert, -1));
    return b_.op("ReduceSum", {weighted, b_.i64s({0})}, {{"keep_dims", "false"}}, "aten::sum");
  }

  Value shared(Value x, const SharedExpert& config) {
    std::string path = fmt::format("{}.{}", path_, config.name);
    Value result = mlp(b_, weights_, x, path, hidden_, {.intermediate = config.intermediate, .activation = config_.activation});
    if (!config.has_gate) return result;
    Value gate = b_.op("Sigmoid", {linear(b_, weights_, x, path + "_gate", hidden_, 1, false)}, {}, "aten::sigmoid");
    return b_.multiply(gate, result);
  }

  GraphBuilder& b_;
  ModelWeights& weights_;
  const std::string& path_;
  int64_t hidden_;
  const MoeConfig& config_;
};

}  // namespace

Value mixture_of_experts(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t hidden,
                         const MoeConfig& config) {
  GraphBuilder::Module module(b, path);
  return ExpertsBlock(b, weights, path, hidden, config).run(x);
}

}  // namespace nibble
