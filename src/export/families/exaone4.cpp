#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// EXAONE 4: norms of the sublayers' outputs, of the heads of queries and keys; layers that see everything have no positions.
DecoderConfig configure_exaone4(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 102400, .intermediate = 16384, .kv_heads = 32});
  c.norm.epsilon = config.number("rms_norm_eps", 1e-5);
  c.residual = Residual::outputs;
  c.attention.head_norm = HeadNorm::each;
  c.attention.head_norm_config = c.norm;
  int64_t window = size_or_null(config, "sliding_window", 4096), pattern = config.size("sliding_window_pattern", 4);
  if (window > 0)
    for (bool slides : sliding_layers(config, c.layers, pattern))
      c.layer.push_back({.window = slides ? window : 0, .rope = slides ? 0 : -1});
  rename_layers(c, "model.layers.{}.",
                {{"attention_output_layernorm", "post_attention_layernorm"}, {"mlp_output_layernorm", "post_feedforward_layernorm"}});
  return c;
}

}  // namespace nibble
