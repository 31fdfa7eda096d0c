#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// MPT: ALiBi with slopes in an order of its own, no biases.
DecoderConfig configure_mpt(const ModelConfig& config) {
  ModelConfig attention = config.object("attn_config");
  for (const char* key : {"qk_ln", "attn_uses_sequence_id", "prefix_lm"}) refuse(attention, key, attention.flag(key, false));
  refuse(attention, "alibi: false", !attention.flag("alibi", true));
  attention.knows({"attn_impl", "attn_type", "tie_word_embeddings"});
  config.knows({"embedding_fraction", "learned_pos_emb", "no_bias", "norm_type"});  // their class ignores these
  ModelConfig llama = config.renamed({{"d_model", "hidden_size"},
                                      {"n_layers", "num_hidden_layers"},
                                      {"n_heads", "num_attention_heads"},
                                      {"max_seq_len", "max_position_embeddings"}});
  int64_t inner = config.size("expansion_ratio", 4) * llama.size("hidden_size", 2048);
  DecoderConfig c = configure_decoder(llama, {.vocab = 50368, .hidden = 2048, .intermediate = inner, .layers = 24, .heads = 16});
  c.norm = {NormKind::layer, config.number("layer_norm_epsilon", 1e-5), true, false};
  c.mlp = {.is_gated = false, .intermediate = inner, .activation = "gelu", .has_bias = false};
  c.attention.alibi.slopes = mpt_slopes(c.attention.heads, attention.number("alibi_bias_max", 8));
  c.attention.clip = static_cast<float>(attention.number("clip_qkv", 0));
  c.attention.scale = static_cast<float>(attention.number("softmax_scale", 0));
  c.ropes.clear();
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.weights.rename("model.embed_tokens.", "transformer.wte.");
  c.weights.rename("model.norm.", "transformer.norm_f.");
  rename_layers(c, "transformer.blocks.{}.",
                {{"input_layernorm", "norm_1"},
                 {"post_attention_layernorm", "norm_2"},
                 {"self_attn.o_proj", "attn.out_proj"},
                 {"mlp.up_proj", "ffn.up_proj"},
                 {"mlp.down_proj", "ffn.down_proj"}});
  fuse_qkv(c, "transformer.blocks.{}.attn.Wqkv", QkvOrder::stacked);
  return c;
}

}  // namespace nibble
