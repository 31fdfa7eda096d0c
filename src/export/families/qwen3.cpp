#include "export/families.hpp"

namespace nibble {

/// Qwen3 dense models: Llama with a norm over each head of q and k, and a head size of its own.
DecoderConfig configure_qwen3(const ModelConfig& config) {
  DecoderConfig c =
      configure_decoder(config, {.vocab = 151936, .intermediate = 22016, .kv_heads = 32, .head_dim = 128, .max_positions = 32768});
  c.attention.head_norm = HeadNorm::each;
  c.attention.head_norm_config = c.norm;
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.layer = qwen_windows(config, c.layers);
  return c;
}

}  // namespace nibble
