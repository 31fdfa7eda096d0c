#include "export/families.hpp"

namespace nibble {

/// Granite, dense: Llama with multipliers.
DecoderConfig configure_granite(const ModelConfig& config) {
  DecoderConfig c = configure_llama(config);
  c.embedding_scale = static_cast<float>(config.number("embedding_multiplier", 1));
  c.residual_scale = static_cast<float>(config.number("residual_multiplier", 1));
  c.attention.scale = static_cast<float>(config.number("attention_multiplier", 1));
  c.logit_scale = static_cast<float>(1 / config.number("logits_scaling", 1));
  return c;
}

}  // namespace nibble
