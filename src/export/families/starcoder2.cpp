#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// StarCoder2.
DecoderConfig configure_starcoder2(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(
      config, {.vocab = 49152, .hidden = 3072, .intermediate = 12288, .layers = 30, .heads = 24, .kv_heads = 2, .max_positions = 4096});
  c.norm = layer_norm_config(config, "norm_epsilon");
  refuse(config, "norm_type", config.text("norm_type", "layer_norm") != "layer_norm");
  refuse(config, "mlp_type", config.text("mlp_type", "default") != "default");
  config.knows({"activation_function", "layer_norm_epsilon", "scale_attn_weights"});  // their class ignores these
  c.mlp.is_gated = false;
  c.mlp.activation = config.text("hidden_act", "gelu_pytorch_tanh");
  c.mlp.has_bias = c.attention.qkv_bias = c.attention.output_bias = config.flag("use_bias", true);
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.layer.assign(static_cast<size_t>(c.layers), {.window = config.optional_size("sliding_window").value_or(0)});
  rename_layers(c, "model.layers.{}.", {{"mlp.up_proj", "mlp.c_fc"}, {"mlp.down_proj", "mlp.c_proj"}});
  return c;
}

}  // namespace nibble
