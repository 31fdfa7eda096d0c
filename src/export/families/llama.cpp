#include "export/families.hpp"

namespace nibble {

/// Llama 1 to 3.3 and what shares its class (TinyLlama, Vicuna, SmolLM, Yi, DeepSeek distillations, ...).
DecoderConfig configure_llama(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {});
  refuse(config, "activation", config.text("activation", "swiglu") != "swiglu");  // Falcon 3 says again what hidden_act says
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.mlp.has_bias = config.flag("mlp_bias", false);
  return c;
}

}  // namespace nibble
