#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// OLMo: norms without weights, queries, keys and values that may be clamped.
DecoderConfig configure_olmo(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 50304});
  c.norm = {NormKind::layer, 1e-5, false, false};
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.attention.clip = static_cast<float>(config.number("clip_qkv", 0));
  return c;
}

/// OLMo 2: norms of the sublayers' outputs and of all heads of queries and keys together.
DecoderConfig configure_olmo2(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 50304});
  c.norm.epsilon = config.number("rms_norm_eps", 1e-5);
  c.residual = Residual::outputs;
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.attention.head_norm = HeadNorm::whole;
  c.attention.head_norm_config = c.norm;
  rename_layers(c, "model.layers.{}.",
                {{"attention_output_layernorm", "post_attention_layernorm"}, {"mlp_output_layernorm", "post_feedforward_layernorm"}});
  return c;
}

}  // namespace nibble
