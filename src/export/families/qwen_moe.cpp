#include <algorithm>

#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

struct QwenExperts {
  int64_t experts, chosen, intermediate;
};

/// Every decoder_sparse_step-th layer has experts, but for those of mlp_only_layers.
void add_qwen_experts(DecoderConfig& c, const ModelConfig& config, const QwenExperts& defaults, std::optional<SharedExpert> shared) {
  MoeConfig moe{.experts = config.renamed({{"num_local_experts", "num_experts"}}).size("num_experts", defaults.experts),
                .chosen = config.size("num_experts_per_tok", defaults.chosen),
                .intermediate = config.size("moe_intermediate_size", defaults.intermediate),
                .shared = std::move(shared)};
  moe.router.is_normalized = config.flag("norm_topk_prob", false);
  int64_t step = config.size("decoder_sparse_step", 1);
  std::vector<double> dense = config.numbers("mlp_only_layers");
  set_experts(c, std::move(moe), config, [&](int64_t i) {
    return (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), static_cast<double>(i)) == dense.end();
  });
  stack_experts(c, "model.layers.{}.mlp.experts", {{"gate_proj", "gate_proj"}, {"up_proj", "up_proj"}, {"down_proj", "down_proj"}});
}

/// One window for all layers, or for those that layer_types says: these families ignore max_window_layers.
void set_windows(DecoderConfig& c, const ModelConfig& config) {
  config.knows({"max_window_layers", "sliding_window"});
  accept_dual_chunks(config);
  int64_t window = config.flag("use_sliding_window", false) ? size_or_null(config, "sliding_window", 4096) : 0;
  bool all = !config.has("layer_types");
  for (bool slides : sliding_layers(config, c.layers, 1)) c.layer.push_back({.window = all || slides ? window : 0});
}

}  // namespace

/// Qwen 1.5 and 2 with experts beside a shared one.
DecoderConfig configure_qwen2_moe(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(
      config, {.vocab = 151936, .hidden = 2048, .intermediate = 5632, .layers = 24, .heads = 16, .kv_heads = 16, .max_positions = 32768});
  c.attention.qkv_bias = config.flag("qkv_bias", true);
  set_windows(c, config);
  SharedExpert shared{.intermediate = config.size("shared_expert_intermediate_size", 5632), .has_gate = true};
  add_qwen_experts(c, config, {60, 4, 1408}, std::move(shared));
  return c;
}

/// Qwen3 with experts.
DecoderConfig configure_qwen3_moe(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(
      config, {.vocab = 151936, .hidden = 2048, .intermediate = 6144, .layers = 24, .kv_heads = 4, .max_positions = 32768});
  c.attention.head_norm = HeadNorm::each;
  c.attention.head_norm_config = c.norm;
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  set_windows(c, config);
  refuse(config, "use_qk_norm: false", !config.flag("use_qk_norm", true));
  add_qwen_experts(c, config, {128, 8, 768}, {});
  return c;
}

}  // namespace nibble
