#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// BLOOM: ALiBi, a norm after the embeddings.
DecoderConfig configure_bloom(const ModelConfig& config) {
  refuse(config, "apply_residual_connection_post_layernorm", config.flag("apply_residual_connection_post_layernorm", false));
  config.knows({"masked_softmax_fusion", "offset_alibi", "seq_length", "skip_bias_add"});  // their class ignores these
  ModelConfig llama = config.renamed({{"n_embed", "hidden_size"}, {"n_layer", "num_hidden_layers"}, {"n_head", "num_attention_heads"}});
  int64_t hidden = llama.size("hidden_size", 64);
  DecoderConfig c = configure_decoder(llama, {.vocab = 250880, .hidden = 64, .intermediate = 4 * hidden, .layers = 2, .heads = 8});
  c.norm = layer_norm_config(config, "layer_norm_epsilon");
  c.has_embedding_norm = true;
  c.mlp = {.is_gated = false, .intermediate = 4 * hidden, .activation = "gelu_pytorch_tanh", .has_bias = true};
  c.attention.qkv_bias = c.attention.output_bias = true;
  c.attention.alibi.slopes = alibi_slopes(c.attention.heads);
  c.ropes.clear();
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.weights.rename("model.embed_tokens.", "transformer.word_embeddings.");
  c.weights.rename("model.embed_layernorm.", "transformer.word_embeddings_layernorm.");
  c.weights.rename("model.norm.", "transformer.ln_f.");
  rename_layers(c, "transformer.h.{}.",
                {{"input_layernorm", "input_layernorm"},
                 {"post_attention_layernorm", "post_attention_layernorm"},
                 {"self_attn.o_proj", "self_attention.dense"},
                 {"mlp.up_proj", "mlp.dense_h_to_4h"},
                 {"mlp.down_proj", "mlp.dense_4h_to_h"}});
  fuse_qkv(c, "transformer.h.{}.self_attention.query_key_value", QkvOrder::grouped);
  return c;
}

}  // namespace nibble
