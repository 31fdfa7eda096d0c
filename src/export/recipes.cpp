#include "export/recipes.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "compress/weighted_layers.hpp"

namespace nibble {

namespace {

constexpr uint64_t kChannelWiseFrom = 4'000'000'000;  // parameters: above, the NPU is much faster with one scale per channel

/// What the recipes depend on.
struct ModelSize {
  uint64_t parameters = 0;
  bool has_whole_groups = true;  ///< of 128 weights, in every row
};

ModelSize size_of(const Graph& graph) {
  ModelSize size;
  for (const WeightedLayer& layer : weighted_layers(layer_order(const_cast<Graph&>(graph)))) {
    const Shape& shape = layer.constant->constant().shape();
    size.parameters += element_count(shape);
    if (layer.kind == LayerKind::matmul && !computes_positions(*layer.layer))
      for (size_t axis : layer.reduction_axes) size.has_whole_groups &= shape[axis] % 128 == 0;
  }
  return size;
}

void refuse_contradictions(const WeightOptions& o) {
  if (o.weight_format || o.sym || o.group_size || o.ratio || o.all_layers || !o.backup_precision.empty())
    fail(ErrorKind::invalid_argument,
         "--for {} chooses format, symmetry, group size, ratio and backup precision: leave these out, or leave --for out", o.target);
}

void refuse_search(const WeightOptions& o) {
  if (o.budget_gb || o.max_kl)
    fail(ErrorKind::invalid_argument,
         "--for {} gives all layers one precision, {} chooses one for each: leave one of them out; --weight-format, --sym and --group-size "
         "set the lowest",
         o.target, o.budget_gb ? "--budget-gb" : "--max-kl");
}

Recipe npu(WeightOptions options, const ModelSize& size) {
  Recipe recipe{std::move(options), "", {}};
  bool is_large = size.parameters > kChannelWiseFrom;
  recipe.options.sym = true;
  recipe.options.ratio = 1.0;
  recipe.options.group_size = is_large || !size.has_whole_groups ? -1 : 128;
  recipe.reasons = {"the NPU multiplies symmetric 4-bit weights, and wants them in all layers"};
  if (is_large)
    recipe.reasons.push_back(fmt::format("{:.1f} billion parameters: above about 4 billion one scale per channel is much faster",
                                         static_cast<double>(size.parameters) / 1e9));
  else if (!size.has_whole_groups)
    recipe.reasons.emplace_back("rows are no multiple of 128, so that groups of 128 do not fit: one scale per channel");
  else
    recipe.reasons.emplace_back("up to about 4 billion parameters groups of 128 keep more of the quality");
  return recipe;
}

Recipe cpu(WeightOptions options) {
  Recipe recipe{std::move(options), "", {}};
  recipe.options.group_size = 64;
  recipe.options.group_size_fallback = "adjust";
  recipe.options.ratio = 1.0;
  recipe.reasons = {"decoding is bound by memory, so that every layer has 4 bits",
                    "zero points cost Nibble's kernels nothing: asymmetric codes",
                    "groups of 64 instead of 128 are 4 % more bytes and a smaller error"};
  return recipe;
}

Recipe gpu(WeightOptions options) {
  Recipe recipe{std::move(options), "", {}};
  recipe.options.sym = true;
  recipe.options.group_size = 128;
  recipe.options.group_size_fallback = "adjust";
  recipe.options.ratio = 1.0;
  recipe.reasons = {"OpenVINO's GPU kernels are fastest with symmetric codes in groups of 128"};
  return recipe;
}

std::string equivalent(const WeightOptions& o) {
  std::string text = "--weight-format int4";
  if (o.sym) text += " --sym";
  text += fmt::format(" --ratio {:.1f} --group-size {}", *o.ratio, *o.group_size);
  if (o.group_size_fallback != "error") text += " --group-size-fallback " + o.group_size_fallback;
  return text;
}

Recipe choose(const WeightOptions& options, const ModelSize& size) {
  if (options.target == "npu") return npu(options, size);
  if (options.target == "cpu") return cpu(options);
  if (options.target == "gpu") return gpu(options);
  fail(ErrorKind::invalid_argument, "--for \"{}\": there are recipes for cpu, gpu and npu", options.target);
}

}  // namespace

Recipe recipe_for(const WeightOptions& options, const Graph& graph) {
  refuse_search(options);
  refuse_contradictions(options);
  Recipe recipe = choose(options, size_of(graph));
  recipe.options.target.clear();
  recipe.options.weight_format = "int4";
  recipe.equivalent = equivalent(recipe.options);
  return recipe;
}

}  // namespace nibble
