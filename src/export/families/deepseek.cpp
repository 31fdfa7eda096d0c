#include <fmt/format.h>

#include <cmath>

#include "base/fail.hpp"
#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// What the versions fill in where config.json says nothing.
struct DeepseekDefaults {
  DecoderDefaults decoder;
  int64_t experts, chosen, expert_intermediate, shared_experts, dense_layers, groups, kept_groups;
  bool is_normalized;
  double scale;
  std::string_view scoring, method;
};

LatentConfig read_latent(const ModelConfig& config) {
  LatentConfig latent;
  latent.query_rank = size_or_null(config, "q_lora_rank", 1536);
  latent.rank = config.size("kv_lora_rank", 512);
  latent.plain_dim = config.size("qk_nope_head_dim", 128);
  latent.rotated_dim = config.size("qk_rope_head_dim", 64);
  latent.value_dim = config.size("v_head_dim", 128);
  int64_t key_dim = config.size("qk_head_dim", latent.key_dim());
  if (key_dim != latent.key_dim())
    fail(ErrorKind::corrupt, "{}: \"qk_head_dim\" is {}, its parts are {} and {}", config.where(), key_dim, latent.plain_dim,
         latent.rotated_dim);
  return latent;
}

/// 1 / sqrt(key size), times the square of what yarn multiplies logits by (mscale_all_dim).
float score_scale(const ModelConfig& config, const LatentConfig& latent) {
  ModelConfig scaling = config.object(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  double factor = scaling.number("factor", 1), all_dim = scaling.number("mscale_all_dim", 0);
  double mscale = all_dim != 0 && factor > 1 ? 0.1 * all_dim * std::log(factor) + 1 : 1;
  return static_cast<float>(mscale * mscale / std::sqrt(static_cast<double>(latent.key_dim())));
}

/// Rotated dimensions are stored as pairs.
void halve_pairs(DecoderConfig& c) {
  const LatentConfig& latent = *c.attention.latent;
  int64_t size = latent.key_dim(), rotated = latent.rotated_dim;
  std::vector<RowRun> query, shared{{0, latent.rank, 1}};
  for (int64_t head = 0; head < c.attention.heads; ++head) {
    query.push_back({head * size, latent.plain_dim, 1});
    for (const RowRun& run : halved_pairs({{head * size + latent.plain_dim, rotated, 1}}, rotated)) query.push_back(run);
  }
  for (const RowRun& run : halved_pairs({{latent.rank, rotated, 1}}, rotated)) shared.push_back(run);
  for (int64_t i = 0; i < c.layers; ++i) {
    auto layer = [&](const char* name, const std::vector<RowRun>& rows) {
      std::string path = fmt::format("model.layers.{}.self_attn.{}", i, name);
      c.weights.set_layer(path, {path, rows});
    };
    layer(latent.query_rank > 0 ? "q_b_proj" : "q_proj", query);
    layer("kv_a_proj_with_mqa", shared);
  }
}

RouterConfig read_router(const ModelConfig& config, const DeepseekDefaults& defaults) {
  RouterConfig router;
  std::string scoring = config.text("scoring_func", defaults.scoring), method = config.text("topk_method", defaults.method);
  if (scoring != "softmax" && scoring != "sigmoid")
    fail(ErrorKind::unsupported, "{}: \"scoring_func\" is \"{}\" (known: softmax, sigmoid)", config.where(), scoring);
  if (method != "greedy" && method != "group_limited_greedy" && method != "noaux_tc")
    fail(ErrorKind::unsupported, "{}: \"topk_method\" is \"{}\" (known: greedy, group_limited_greedy, noaux_tc)", config.where(), method);
  router.kind = scoring == "softmax" ? RouterKind::softmax : RouterKind::sigmoid;
  router.has_choice_bias = method == "noaux_tc";
  router.group_score = router.has_choice_bias ? GroupScore::two_best : GroupScore::best;
  config.knows({"n_group", "topk_group"});  // greedy has no groups
  if (method != "greedy") {
    router.groups = config.size("n_group", defaults.groups);
    router.kept_groups = config.size("topk_group", defaults.kept_groups);
  }
  router.is_normalized = config.flag("norm_topk_prob", defaults.is_normalized);
  router.sum_epsilon = 1e-20f;
  router.scale = static_cast<float>(config.number("routed_scaling_factor", defaults.scale));
  return router;
}

void add_experts(DecoderConfig& c, const ModelConfig& config, const DeepseekDefaults& defaults, RouterConfig router) {
  if (config.json().contains("n_routed_experts") && !config.has("n_routed_experts")) return;  // null: a dense model
  MoeConfig moe{.experts = config.size("n_routed_experts", defaults.experts),
                .chosen = config.size("num_experts_per_tok", defaults.chosen),
                .intermediate = config.size("moe_intermediate_size", defaults.expert_intermediate),
                .router = std::move(router)};
  int64_t shared = size_or_null(config, "n_shared_experts", defaults.shared_experts);
  if (shared > 0) moe.shared = SharedExpert{"shared_experts", shared * moe.intermediate, false};
  double dense = config.number("first_k_dense_replace", static_cast<double>(defaults.dense_layers));
  int64_t frequency = config.size("moe_layer_freq", 1);
  set_experts(c, std::move(moe), config, [&](int64_t i) { return static_cast<double>(i) >= dense && i % frequency == 0; });
  stack_experts(c, "model.layers.{}.mlp.experts", {{"gate_proj", "gate_proj"}, {"up_proj", "up_proj"}, {"down_proj", "down_proj"}});
}

DecoderConfig configure_deepseek(const ModelConfig& config, const DeepseekDefaults& defaults) {
  DecoderConfig c = configure_decoder(config.renamed({{"qk_rope_head_dim", "head_dim"}}), defaults.decoder);
  c.attention.latent = read_latent(config);
  c.attention.scale = score_scale(config, *c.attention.latent);
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  check_decoder_config(c, config.where());
  if (config.flag("rope_interleave", true)) halve_pairs(c);
  return c;
}

}  // namespace

/// DeepSeek-V2 and V2-Lite. As its authors compute it: weights are either normalized or scaled, and yarn's mscale_all_dim counts.
DecoderConfig configure_deepseek_v2(const ModelConfig& config) {
  DeepseekDefaults defaults{{.head_dim = 64}, 64, 6, 1407, 2, 0, 1, 1, false, 1, "softmax", "greedy"};
  DecoderConfig c = configure_deepseek(config, defaults);
  refuse(config, "mlp_bias", config.flag("mlp_bias", false));
  RouterConfig router = read_router(config, defaults);
  if (router.is_normalized) router.scale = 1;
  add_experts(c, config, defaults, std::move(router));
  return c;
}

/// DeepSeek-V3, V3.1 and R1, and what shares their class (Moonlight, GigaChat 3).
DecoderConfig configure_deepseek_v3(const ModelConfig& config) {
  DeepseekDefaults defaults{{.vocab = 129280,
                             .hidden = 7168,
                             .intermediate = 18432,
                             .layers = 61,
                             .heads = 128,
                             .kv_heads = 128,
                             .head_dim = 64,
                             .max_positions = 4096},
                            256,
                            8,
                            2048,
                            1,
                            3,
                            8,
                            4,
                            true,
                            2.5,
                            "sigmoid",
                            "noaux_tc"};
  DecoderConfig c = configure_deepseek(config, defaults);
  add_experts(c, config, defaults, read_router(config, defaults));
  return c;
}

}  // namespace nibble
