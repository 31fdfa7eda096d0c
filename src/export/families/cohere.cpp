#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// Some files name what the classes do always.
void refuse_other_cohere(const ModelConfig& config) {
  refuse(config, "position_embedding_type", config.text("position_embedding_type", "rope_gptj") != "rope_gptj");
  refuse(config, "rotary_pct", config.number("rotary_pct", 1) != 1);
  for (const char* key : {"use_gated_activation", "use_parallel_block"}) refuse(config, key, !config.flag(key, true));
  config.knows({"use_embedding_sharing", "use_parallel_embedding"});
}

DecoderConfig configure_any_cohere(const ModelConfig& config) {
  DecoderConfig c =
      configure_decoder(config, {.vocab = 256000, .hidden = 8192, .intermediate = 22528, .layers = 40, .heads = 64, .max_positions = 8192});
  refuse_other_cohere(config);
  c.norm = {NormKind::layer, config.number("layer_norm_eps", 1e-5), true, false};
  c.residual = Residual::parallel;
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.logit_scale = static_cast<float>(config.number("logit_scale", 0.0625));
  rotate_pairs(c, "model.layers.{}.self_attn");
  return c;
}

}  // namespace

/// Command R.
DecoderConfig configure_cohere(const ModelConfig& config) {
  DecoderConfig c = configure_any_cohere(config);
  if (!config.flag("use_qk_norm", false)) return c;
  c.attention.head_norm = HeadNorm::each_own;
  c.attention.head_norm_config = c.norm;
  rotate_pairs_of_norms(c, "model.layers.{}.self_attn");
  return c;
}

/// Command R7B and A: layers that slide have positions, the others none.
DecoderConfig configure_cohere2(const ModelConfig& config) {
  DecoderConfig c = configure_any_cohere(config);
  refuse(config, "order_of_interleaved_layers", config.text("order_of_interleaved_layers", "local_attn_first") != "local_attn_first");
  int64_t window = size_or_null(config, "sliding_window", 4096);
  int64_t pattern = config.size("sliding_window_pattern", config.size("layer_switch", 4));
  for (bool slides : sliding_layers(config, c.layers, pattern)) c.layer.push_back({.window = slides ? window : 0, .rope = slides ? 0 : -1});
  return c;
}

}  // namespace nibble
