#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// InternLM2 and 2.5.
DecoderConfig configure_internlm2(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 103168});
  c.attention.qkv_bias = c.attention.output_bias = config.flag("bias", true);
  c.weights.rename("model.embed_tokens.", "model.tok_embeddings.");
  c.weights.rename("lm_head.", "output.");
  rename_layers(c, "model.layers.{}.",
                {{"input_layernorm", "attention_norm"},
                 {"post_attention_layernorm", "ffn_norm"},
                 {"self_attn.o_proj", "attention.wo"},
                 {"mlp.gate_proj", "feed_forward.w1"},
                 {"mlp.up_proj", "feed_forward.w3"},
                 {"mlp.down_proj", "feed_forward.w2"}});
  fuse_qkv(c, "model.layers.{}.attention.wqkv", QkvOrder::grouped);
  return c;
}

}  // namespace nibble
