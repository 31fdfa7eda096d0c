#include <fmt/format.h>

#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// OPT: learned positions that begin at 2; the 350M model has its norms after the sums and narrower embeddings.
DecoderConfig configure_opt(const ModelConfig& config) {
  ModelConfig llama = config.renamed({{"ffn_dim", "intermediate_size"}, {"activation_function", "hidden_act"}});
  DecoderConfig c = configure_decoder(llama, {.vocab = 50272, .hidden = 768, .intermediate = 3072, .layers = 12, .heads = 12});
  bool affine = config.flag("layer_norm_elementwise_affine", true), bias = config.flag("enable_bias", true);
  c.norm = {NormKind::layer, 1e-5, affine, affine};
  bool before = config.flag("do_layer_norm_before", true);
  c.residual = before ? Residual::serial : Residual::sums;
  c.has_final_norm = before && !config.flag("_remove_final_layer_norm", false);
  c.mlp.is_gated = false;
  c.mlp.activation = llama.text("hidden_act", "relu");
  c.mlp.has_bias = c.attention.qkv_bias = c.attention.output_bias = bias;
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  int64_t width = config.size("word_embed_proj_dim", c.hidden);
  if (width != c.hidden) c.embedding = width;
  refuse(config, "learned_embeddings: false", !config.flag("learned_embeddings", true));
  config.knows({"output_projection"});
  c.ropes.clear();
  c.positions = LearnedPositions{config.size("max_position_embeddings", 2048) + 2, 2};
  for (const char* name : {"embed_tokens", "embed_positions", "project_in", "project_out"})
    c.weights.rename(fmt::format("model.{}.", name), fmt::format("model.decoder.{}.", name));
  c.weights.rename("model.norm.", "model.decoder.final_layer_norm.");
  rename_layers(c, "model.decoder.layers.{}.",
                {{"input_layernorm", "self_attn_layer_norm"},
                 {"post_attention_layernorm", "final_layer_norm"},
                 {"self_attn.o_proj", "self_attn.out_proj"},
                 {"self_attn", "self_attn"},
                 {"mlp.up_proj", "fc1"},
                 {"mlp.down_proj", "fc2"}});
  return c;
}

}  // namespace nibble
