#pragma once

#include <span>
#include <string_view>

#include "export/decoder.hpp"
#include "export/model_config.hpp"

namespace nibble {

/// A model family: how its config.json becomes a decoder.
struct Family {
  std::string_view model_type;
  DecoderConfig (*configure)(const ModelConfig& config);
};

std::span<const Family> families();
/// Throws Error{unsupported} naming the families there are.
const Family& find_family(const ModelConfig& config);

/// What a family's configuration class takes where config.json says nothing.
struct DecoderDefaults {
  int64_t vocab = 32000, hidden = 4096, intermediate = 11008, layers = 32, heads = 32;
  int64_t kv_heads = 0;  ///< 0 = as many as heads
  int64_t head_dim = 0;  ///< 0 = hidden / heads
  int64_t max_positions = 2048;
};

/// The fields that all families of the Llama skeleton read under the same names.
DecoderConfig configure_decoder(const ModelConfig& config, const DecoderDefaults& defaults);
/// windows from layer_types or, where that is missing, full attention below max_window_layers (Qwen2, Qwen3).
std::vector<int64_t> qwen_windows(const ModelConfig& config, int64_t layers);

DecoderConfig configure_llama(const ModelConfig& config);
DecoderConfig configure_mistral(const ModelConfig& config);
DecoderConfig configure_qwen2(const ModelConfig& config);
DecoderConfig configure_qwen3(const ModelConfig& config);

}  // namespace nibble
