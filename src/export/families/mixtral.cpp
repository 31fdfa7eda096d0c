#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// Mixtral: Mistral with experts.
DecoderConfig configure_mixtral(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.intermediate = 14336, .kv_heads = 8, .max_positions = 4096 * 32});
  c.norm.epsilon = config.number("rms_norm_eps", 1e-5);
  c.ropes = {make_rope(config, c.attention.head_dim, config.size("max_position_embeddings", 4096 * 32), 1e6)};
  c.layer.assign(static_cast<size_t>(c.layers), {.window = config.optional_size("sliding_window").value_or(0)});
  config.knows({"router_jitter_noise"});  // of training
  MoeConfig moe{.path = "block_sparse_moe",
                .experts = config.size("num_local_experts", 8),
                .chosen = config.size("num_experts_per_tok", 2),
                .intermediate = c.mlp.intermediate};
  moe.router.is_normalized = true;
  set_experts(c, std::move(moe), config);
  stack_experts(c, "model.layers.{}.block_sparse_moe.experts", {{"gate_proj", "w1"}, {"up_proj", "w3"}, {"down_proj", "w2"}});
  return c;
}

}  // namespace nibble
