#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// Its rope_scaling says where the long factors begin, and what cosines and sines are multiplied by on either side of it.
Rope phimoe_rope(const ModelConfig& config, int64_t head_dim) {
  ModelConfig scaling = config.object(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  Rope rope = make_rope(with_outer_original_length(config), head_dim, config.size("max_position_embeddings", 4096 * 32), 1e6);
  rope.attention_factor = static_cast<float>(scaling.number("short_mscale", rope.attention_factor));
  rope.long_attention_factor = static_cast<float>(scaling.number("long_mscale", rope.attention_factor));
  return rope;
}

}  // namespace

/// Phi-3.5-MoE.
DecoderConfig configure_phimoe(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 32064, .intermediate = 6400, .kv_heads = 8, .max_positions = 4096 * 32});
  c.norm = layer_norm_config(config, "rms_norm_eps");
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.head_bias = config.flag("lm_head_bias", false);
  c.ropes = {phimoe_rope(config, c.attention.head_dim)};
  c.layer.assign(static_cast<size_t>(c.layers), {.window = config.optional_size("sliding_window").value_or(0)});
  config.knows({"input_jitter_noise"});  // of training
  MoeConfig moe{.path = "block_sparse_moe",
                .experts = config.size("num_local_experts", 16),
                .chosen = config.size("num_experts_per_tok", 2),
                .intermediate = c.mlp.intermediate};
  moe.router.kind = RouterKind::sparse_mixer;
  moe.router.jitter = static_cast<float>(config.number("router_jitter_noise", 0.01));
  set_experts(c, std::move(moe), config);
  stack_experts(c, "model.layers.{}.block_sparse_moe.experts", {{"gate_proj", "w1"}, {"up_proj", "w3"}, {"down_proj", "w2"}});
  return c;
}

}  // namespace nibble
