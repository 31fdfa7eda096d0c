#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// OLMoE: norms of all heads of queries and keys together, experts in every layer.
DecoderConfig configure_olmoe(const ModelConfig& config) {
  DecoderConfig c =
      configure_decoder(config, {.vocab = 50304, .hidden = 2048, .intermediate = 2048, .layers = 16, .heads = 16, .max_positions = 4096});
  c.norm.epsilon = config.number("rms_norm_eps", 1e-5);
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.attention.head_norm = HeadNorm::whole;
  c.attention.head_norm_config = c.norm;
  c.attention.clip = static_cast<float>(config.number("clip_qkv", 0));
  MoeConfig moe{
      .experts = config.size("num_experts", 64), .chosen = config.size("num_experts_per_tok", 8), .intermediate = c.mlp.intermediate};
  moe.router.is_normalized = config.flag("norm_topk_prob", false);
  set_experts(c, std::move(moe), config);
  stack_experts(c, "model.layers.{}.mlp.experts", {{"gate_proj", "gate_proj"}, {"up_proj", "up_proj"}, {"down_proj", "down_proj"}});
  return c;
}

}  // namespace nibble
