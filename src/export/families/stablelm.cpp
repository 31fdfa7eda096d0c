#include <fmt/format.h>

#include "export/families.hpp"

namespace nibble {

namespace {

/// The heads' norms are a tensor each.
void name_head_norms(DecoderConfig& c) {
  auto stacked = [](const std::string& path, int64_t heads) {
    WeightRecipe recipe;
    for (int64_t h = 0; h < heads; ++h) recipe.parts.push_back({fmt::format("{}.norms.{}.weight", path, h)});
    return recipe;
  };
  for (int64_t i = 0; i < c.layers; ++i) {
    std::string path = fmt::format("model.layers.{}.self_attn.", i);
    c.weights.set(path + "q_norm.weight", stacked(path + "q_layernorm", c.attention.heads));
    c.weights.set(path + "k_norm.weight", stacked(path + "k_layernorm", c.attention.kv_heads));
  }
}

}  // namespace

/// StableLM 3B and 2.
DecoderConfig configure_stablelm(const ModelConfig& config) {
  DecoderConfig c =
      configure_decoder(config, {.vocab = 50304, .hidden = 2560, .intermediate = 6912, .kv_heads = 32, .max_positions = 4096});
  c.norm = layer_norm_config(config, "layer_norm_eps");
  c.residual = config.flag("use_parallel_residual", false) ? Residual::parallel : Residual::serial;
  c.attention.qkv_bias = config.flag("use_qkv_bias", false);
  c.ropes = {make_rope(config, c.attention.head_dim, config.size("max_position_embeddings", 4096), 10000, 0.25)};
  if (config.flag("qk_layernorm", false)) {
    c.attention.head_norm = HeadNorm::each_own;
    c.attention.head_norm_config = {NormKind::layer, c.norm.epsilon, true, false};
    name_head_norms(c);
  }
  return c;
}

}  // namespace nibble
