#include <cmath>
#include <set>

#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// The first releases say "gelu" and mean its tanh form.
std::string gemma_activation(const ModelConfig& config) {
  std::string older = config.text("hidden_act", "gelu_pytorch_tanh");
  return config.text("hidden_activation", older == "gelu" ? "gelu_pytorch_tanh" : older);
}

/// What all Gemmas share: norms that are stored as their difference from 1, scaled embeddings, a gated MLP with tanh GELU.
DecoderConfig configure_any_gemma(const ModelConfig& config, const DecoderDefaults& defaults) {
  DecoderConfig c = configure_decoder(config, defaults);
  c.norm.plus_one = true;
  c.mlp.activation = gemma_activation(config);
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.embedding_scale = std::sqrt(static_cast<float>(c.hidden));
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", false);
  return c;
}

void add_gemma2_parts(DecoderConfig& c, const ModelConfig& config, double score_cap, double logit_cap) {
  c.residual = Residual::sandwich;
  c.attention.scale = static_cast<float>(1 / std::sqrt(config.number("query_pre_attn_scalar", 256)));
  c.attention.softcap = static_cast<float>(number_or_null(config, "attn_logit_softcapping", score_cap));
  c.logit_softcap = static_cast<float>(number_or_null(config, "final_logit_softcapping", logit_cap));
  rename_layers(c, "model.layers.{}.",
                {{"attention_output_layernorm", "post_attention_layernorm"},
                 {"post_attention_layernorm", "pre_feedforward_layernorm"},
                 {"mlp_output_layernorm", "post_feedforward_layernorm"}});
}

/// What transformers 5 writes: rope_parameters for each type of layers.
Rope rope_of_layers(const ModelConfig& config, const char* type, double default_theta) {
  ModelConfig own = config.object("rope_parameters").object(type);
  ModelConfig alone(nlohmann::json{{"rope_parameters", own.json()}}, config.where());
  Rope rope = make_rope(alone, config.size("head_dim", 256), config.size("max_position_embeddings", 131072), default_theta);
  std::set<std::string> unread;
  for (const auto& [key, value] : alone.unread()) unread.insert(key);
  for (const auto& [key, value] : own.json().items())
    if (!unread.contains("rope_parameters." + key)) own.knows({key.c_str()});
  return rope;
}

std::vector<Rope> gemma3_ropes(const ModelConfig& config) {
  if (config.object("rope_parameters").has("full_attention"))
    return {rope_of_layers(config, "full_attention", 1e6), rope_of_layers(config, "sliding_attention", 10000)};
  int64_t positions = config.size("max_position_embeddings", 131072), head_dim = config.size("head_dim", 256);
  ModelConfig local(nlohmann::json{{"rope_theta", config.number("rope_local_base_freq", 10000)}}, config.where());
  return {make_rope(config, head_dim, positions, 1e6), make_rope(local, head_dim, positions)};
}

}  // namespace

DecoderConfig configure_gemma(const ModelConfig& config) {
  return configure_any_gemma(
      config, {.vocab = 256000, .hidden = 3072, .intermediate = 24576, .layers = 28, .heads = 16, .head_dim = 256, .max_positions = 8192});
}

/// Gemma 2: caps, norms around both sublayers, every other layer slides.
DecoderConfig configure_gemma2(const ModelConfig& config) {
  DecoderConfig c = configure_any_gemma(config, {.vocab = 256000,
                                                 .hidden = 2304,
                                                 .intermediate = 9216,
                                                 .layers = 26,
                                                 .heads = 8,
                                                 .kv_heads = 4,
                                                 .head_dim = 256,
                                                 .max_positions = 8192});
  add_gemma2_parts(c, config, 50, 30);
  int64_t window = size_or_null(config, "sliding_window", 4096);
  for (bool slides : sliding_layers(config, c.layers, 2)) c.layer.push_back({.window = slides ? window : 0});
  return c;
}

/// Gemma 3, text: norms of queries and keys, a rotation of its own for the layers that slide.
DecoderConfig configure_gemma3_text(const ModelConfig& config) {
  DecoderConfig c = configure_any_gemma(config, {.vocab = 262208,
                                                 .hidden = 2304,
                                                 .intermediate = 9216,
                                                 .layers = 26,
                                                 .heads = 8,
                                                 .kv_heads = 4,
                                                 .head_dim = 256,
                                                 .max_positions = 131072});
  add_gemma2_parts(c, config, 0, 0);
  c.attention.head_norm = HeadNorm::each;
  c.attention.head_norm_config = c.norm;
  c.ropes = gemma3_ropes(config);
  int64_t window = size_or_null(config, "sliding_window", 4096), pattern = config.size("sliding_window_pattern", 6);
  for (bool slides : sliding_layers(config, c.layers, pattern)) c.layer.push_back({.window = slides ? window : 0, .rope = slides ? 1 : 0});
  return c;
}

}  // namespace nibble
