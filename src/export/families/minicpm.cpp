#include <cmath>

#include "export/families.hpp"

namespace nibble {

/// MiniCPM 1, 2 and 4: Llama with multipliers that depend on its depth and width.
DecoderConfig configure_minicpm(const ModelConfig& published) {
  ModelConfig config = with_outer_original_length(published);
  config.knows({"mup_denominator"});  // of heads for speculative decoding
  config.knows({"sparse_config"});    // kernels that leave out blocks of what dense attention sees
  DecoderConfig c = configure_decoder(config, {});
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.embedding_scale = static_cast<float>(config.number("scale_emb", 1));
  c.residual_scale = static_cast<float>(config.number("scale_depth", 1) / std::sqrt(static_cast<double>(c.layers)));
  c.logit_scale = static_cast<float>(config.number("dim_model_base", 1) / static_cast<double>(c.hidden));
  return c;
}

}  // namespace nibble
