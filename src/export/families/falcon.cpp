#include <cmath>

#include "export/families.hpp"
#include "export/layer_names.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

/// Scores are (q k + alibi) / sqrt(head_dim) here, with all of ALiBi in bfloat16.
AlibiConfig falcon_alibi(const AttentionConfig& attention) {
  AlibiConfig alibi{alibi_slopes(attention.heads), 1 / std::sqrt(static_cast<float>(attention.head_dim))};
  for (float& slope : alibi.slopes) slope = to_float(to_bfloat16(slope));
  return alibi;
}

}  // namespace

/// Falcon: 7B (one key head), 40B and 180B (groups), RW (ALiBi, one after the other).
DecoderConfig configure_falcon(const ModelConfig& config) {
  ModelConfig llama = config.renamed({{"n_embed", "hidden_size"},
                                      {"n_layer", "num_hidden_layers"},
                                      {"n_head", "num_attention_heads"},
                                      {"num_kv_heads", "num_key_value_heads"},
                                      {"n_head_kv", "num_key_value_heads"},
                                      {"activation", "hidden_act"},
                                      {"ffn_hidden_size", "intermediate_size"}});
  int64_t hidden = llama.size("hidden_size", 4544);
  DecoderConfig c = configure_decoder(llama, {.vocab = 65024, .hidden = 4544, .intermediate = 4 * hidden, .heads = 71});
  config.knows({"multi_query", "parallel_attn"});  // the newer architecture has one form of both
  config.knows({"ff_factor"});                     // ffn_hidden_size says it
  bool groups = config.flag("new_decoder_architecture", false), shared = !groups && config.flag("multi_query", true);
  if (!groups) c.attention.kv_heads = shared ? 1 : c.attention.heads;
  check_decoder_config(c, config.where());
  bool parallel = groups || config.flag("parallel_attn", true);
  bool two_norms = groups && config.size("num_ln_in_parallel_attn", 2) == 2;
  c.residual = !parallel ? Residual::serial : two_norms ? Residual::parallel_2 : Residual::parallel;
  c.norm = layer_norm_config(config, "layer_norm_epsilon");
  c.mlp.is_gated = false;
  c.mlp.activation = llama.text("hidden_act", "gelu");
  c.mlp.has_bias = c.attention.qkv_bias = c.attention.output_bias = config.flag("bias", false);
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  if (config.flag("alibi", false)) {
    c.ropes.clear();
    c.attention.alibi = falcon_alibi(c.attention);
  }
  c.weights.rename("model.embed_tokens.", "transformer.word_embeddings.");
  c.weights.rename("model.norm.", "transformer.ln_f.");
  rename_layers(c, "transformer.h.{}.",
                {{"input_layernorm", two_norms ? "ln_attn" : "input_layernorm"},
                 {"post_attention_layernorm", two_norms ? "ln_mlp" : "post_attention_layernorm"},
                 {"self_attn.o_proj", "self_attention.dense"},
                 {"mlp.up_proj", "mlp.dense_h_to_4h"},
                 {"mlp.down_proj", "mlp.dense_4h_to_h"}});
  fuse_qkv(c, "transformer.h.{}.self_attention.query_key_value", shared ? QkvOrder::stacked : QkvOrder::grouped);
  return c;
}

}  // namespace nibble
