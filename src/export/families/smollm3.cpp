#include "base/fail.hpp"
#include "export/families.hpp"

namespace nibble {

/// SmolLM3: Llama with every fourth layer without positions.
DecoderConfig configure_smollm3(const ModelConfig& config) {
  DecoderConfig c =
      configure_decoder(config, {.vocab = 128256, .hidden = 2048, .layers = 36, .heads = 16, .kv_heads = 4, .max_positions = 32768});
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  c.mlp.has_bias = config.flag("mlp_bias", false);
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.ropes = {make_rope(config, c.attention.head_dim, config.size("max_position_embeddings", 32768), 2e6)};
  std::vector<double> with_rope = config.numbers("no_rope_layers");  // 1 where there is a rotation
  int64_t interval = config.size("no_rope_layer_interval", 4);
  bool has_types = config.has("layer_types");
  std::vector<bool> slides = sliding_layers(config, c.layers, interval);
  int64_t window = config.optional_size("sliding_window").value_or(0);
  if (!config.flag("use_sliding_window", false)) window = 0;
  config.knows({"max_window_layers"});
  if (!with_rope.empty() && with_rope.size() < static_cast<size_t>(c.layers))
    fail(ErrorKind::corrupt, "{}: \"no_rope_layers\" has entries for {} of {} layers", config.where(), with_rope.size(), c.layers);
  for (int64_t i = 0; i < c.layers; ++i) {
    bool rotates = with_rope.empty() ? (i + 1) % interval != 0 : with_rope[static_cast<size_t>(i)] != 0;
    bool layer_slides = has_types ? slides[static_cast<size_t>(i)] : !rotates;  // the class default
    c.layer.push_back({.window = layer_slides ? window : 0, .rope = rotates ? 0 : -1});
  }
  return c;
}

}  // namespace nibble
