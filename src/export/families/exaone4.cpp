#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// sliding_window_pattern: a number, or a letter for each layer of a period: "LLLG", whose last one sees everything.
int64_t period_of_full_layers(const ModelConfig& config) {
  auto found = config.json().find("sliding_window_pattern");
  if (found == config.json().end() || !found->is_string()) return config.size("sliding_window_pattern", 4);
  std::string letters = config.text("sliding_window_pattern", "");
  refuse(config, "sliding_window_pattern",
         letters.empty() || letters.find_first_not_of('L') != letters.size() - 1 || letters.back() != 'G');
  return static_cast<int64_t>(letters.size());
}

}  // namespace

/// EXAONE 4: norms of the sublayers' outputs, of the heads of queries and keys; layers that see everything have no positions.
DecoderConfig configure_exaone4(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 102400, .intermediate = 16384, .kv_heads = 32});
  c.norm.epsilon = config.number("rms_norm_eps", 1e-5);
  c.residual = Residual::outputs;
  c.attention.head_norm = HeadNorm::each;
  c.attention.head_norm_config = c.norm;
  int64_t window = size_or_null(config, "sliding_window", 4096), pattern = window > 0 ? period_of_full_layers(config) : 4;
  config.knows({"sliding_window_pattern"});
  std::vector<bool> all = sliding_layers(config, c.layers, pattern);
  if (window > 0)
    for (bool slides : all) c.layer.push_back({.window = slides ? window : 0, .rope = slides ? 0 : -1});
  rename_layers(c, "model.layers.{}.",
                {{"attention_output_layernorm", "post_attention_layernorm"}, {"mlp_output_layernorm", "post_feedforward_layernorm"}});
  return c;
}

}  // namespace nibble
