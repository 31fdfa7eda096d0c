#include "export/families.hpp"

namespace nibble {

/// Qwen 1.5, 2 and 2.5: Llama with biases on q, k and v.
DecoderConfig configure_qwen2(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 151936, .intermediate = 22016, .kv_heads = 32, .max_positions = 32768});
  c.attention.qkv_bias = true;
  c.layer = qwen_windows(config, c.layers);
  return c;
}

}  // namespace nibble
