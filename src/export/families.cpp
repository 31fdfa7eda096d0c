#include "export/families.hpp"

#include <array>

#include "base/fail.hpp"

namespace nibble {

namespace {

constexpr std::array<Family, 4> kFamilies{{
    {"llama", configure_llama},
    {"mistral", configure_mistral},
    {"qwen2", configure_qwen2},
    {"qwen3", configure_qwen3},
}};

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family& find_family(const ModelConfig& config) {
  std::string type = config.model_type();
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.model_type == type) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  fail(ErrorKind::unsupported, "{}: model type \"{}\" is not supported (supported: {})", config.where(), type, known);
}

DecoderConfig configure_decoder(const ModelConfig& config, const DecoderDefaults& defaults) {
  DecoderConfig c;
  c.vocab = config.size("vocab_size", defaults.vocab);
  c.hidden = config.size("hidden_size", defaults.hidden);
  c.intermediate = config.size("intermediate_size", defaults.intermediate);
  c.layers = config.size("num_hidden_layers", defaults.layers);
  c.heads = config.size("num_attention_heads", defaults.heads);
  bool kv_is_null = config.json().contains("num_key_value_heads") && !config.has("num_key_value_heads");
  c.kv_heads = config.size("num_key_value_heads", defaults.kv_heads > 0 && !kv_is_null ? defaults.kv_heads : c.heads);
  c.head_dim = config.size("head_dim", defaults.head_dim > 0 ? defaults.head_dim : c.hidden / c.heads);
  if (c.head_dim < 1) fail(ErrorKind::corrupt, "{}: a hidden size of {} cannot have {} heads", config.where(), c.hidden, c.heads);
  c.norm_epsilon = config.number("rms_norm_eps", 1e-6);
  c.activation = config.text("hidden_act", "silu");
  c.tied_embeddings = config.flag("tie_word_embeddings", false);
  check_decoder_config(c, config.where());
  c.rope = make_rope(config, c.head_dim, config.size("max_position_embeddings", defaults.max_positions));
  return c;
}

namespace {

/// Per layer whether its attention slides; `layer_types` decides where it is there.
std::vector<bool> sliding_layers(const ModelConfig& config, int64_t layers) {
  auto types = config.texts("layer_types");
  if (!types.empty() && types.size() < static_cast<size_t>(layers))
    fail(ErrorKind::corrupt, "{}: \"layer_types\" has entries for {} of {} layers", config.where(), types.size(), layers);
  for (const auto& type : types)
    if (type != "full_attention" && type != "sliding_attention")
      fail(ErrorKind::unsupported, "{}: \"layer_types\" names \"{}\" (supported: full_attention, sliding_attention)", config.where(), type);
  double full_layers = config.number("max_window_layers", 28);
  std::vector<bool> slides;
  for (int64_t i = 0; i < layers; ++i)
    slides.push_back(types.empty() ? static_cast<double>(i) >= full_layers : types[static_cast<size_t>(i)] == "sliding_attention");
  return slides;
}

}  // namespace

std::vector<int64_t> qwen_windows(const ModelConfig& config, int64_t layers) {
  bool is_null = config.json().contains("sliding_window") && !config.has("sliding_window");
  int64_t window = config.flag("use_sliding_window", false) && !is_null ? config.size("sliding_window", 4096) : 0;
  std::vector<int64_t> windows;
  for (bool slides : sliding_layers(config, layers)) windows.push_back(slides ? window : 0);
  return windows;
}

}  // namespace nibble
