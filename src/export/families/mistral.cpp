#include "export/families.hpp"

namespace nibble {

/// Mistral 7B and its kin: Llama with an optional sliding window on every layer.
DecoderConfig configure_mistral(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.intermediate = 14336, .kv_heads = 8, .max_positions = 4096 * 32});
  bool absent = !config.json().contains("sliding_window");  // null means none, a missing key the class default
  int64_t window = absent ? 4096 : config.optional_size("sliding_window").value_or(0);
  c.layer.assign(static_cast<size_t>(c.layers), {.window = window});
  return c;
}

}  // namespace nibble
