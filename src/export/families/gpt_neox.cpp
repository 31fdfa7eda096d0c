#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// GPT-NeoX and Pythia.
DecoderConfig configure_gpt_neox(const ModelConfig& config) {
  ModelConfig llama = config.renamed({{"rotary_emb_base", "rope_theta"}, {"rotary_pct", "partial_rotary_factor"}});
  DecoderConfig c = configure_decoder(llama, {.vocab = 50432, .hidden = 6144, .intermediate = 24576, .layers = 44, .heads = 64});
  c.norm = layer_norm_config(config, "layer_norm_eps");
  c.residual = config.flag("use_parallel_residual", true) ? Residual::parallel_2 : Residual::serial;
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", true);
  c.mlp.is_gated = false;
  c.mlp.has_bias = true;
  c.mlp.activation = config.text("hidden_act", "gelu");
  c.ropes = {make_rope(llama, c.attention.head_dim, config.size("max_position_embeddings", 2048), 10000, 0.25)};
  c.weights.rename("model.embed_tokens.", "gpt_neox.embed_in.");
  c.weights.rename("model.norm.", "gpt_neox.final_layer_norm.");
  c.weights.rename("lm_head.", "embed_out.");
  rename_layers(c, "gpt_neox.layers.{}.",
                {{"input_layernorm", "input_layernorm"},
                 {"post_attention_layernorm", "post_attention_layernorm"},
                 {"self_attn.o_proj", "attention.dense"},
                 {"mlp.up_proj", "mlp.dense_h_to_4h"},
                 {"mlp.down_proj", "mlp.dense_4h_to_h"}});
  fuse_qkv(c, "gpt_neox.layers.{}.attention.query_key_value", QkvOrder::grouped);
  return c;
}

}  // namespace nibble
