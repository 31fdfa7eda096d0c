#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// Qwen, the first: `intermediate_size` counts gate and up together.
DecoderConfig configure_qwen(const ModelConfig& config) {
  ModelConfig llama = config.renamed({{"rotary_emb_base", "rope_theta"},
                                      {"rotary_pct", "partial_rotary_factor"},
                                      {"kv_channels", "head_dim"},
                                      {"layer_norm_epsilon", "rms_norm_eps"}});
  config.knows({"seq_length", "use_dynamic_ntk", "use_logn_attn"});  // beyond the length it was trained for
  DecoderConfig c = configure_decoder(llama, {.vocab = 151936, .intermediate = 22016, .head_dim = 128, .max_positions = 8192});
  c.mlp.intermediate /= 2;
  c.attention.qkv_bias = true;
  c.attention.output_bias = c.mlp.has_bias = !config.flag("no_bias", true);
  if (!config.flag("scale_attn_weights", true)) c.attention.scale = 1;
  c.weights.rename("model.embed_tokens.", "transformer.wte.");
  c.weights.rename("model.norm.", "transformer.ln_f.");
  rename_layers(c, "transformer.h.{}.",
                {{"input_layernorm", "ln_1"},
                 {"post_attention_layernorm", "ln_2"},
                 {"self_attn.o_proj", "attn.c_proj"},
                 {"mlp.up_proj", "mlp.w1"},
                 {"mlp.gate_proj", "mlp.w2"},
                 {"mlp.down_proj", "mlp.c_proj"}});
  fuse_qkv(c, "transformer.h.{}.attn.c_attn", QkvOrder::stacked);
  return c;
}

}  // namespace nibble
