#include <fmt/format.h>

#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// The class scales positions even where config.json does not say so.
Rope gpt_oss_rope(const ModelConfig& config, int64_t head_dim) {
  nlohmann::json fields = config.json();
  if (!fields.contains("rope_scaling") && !fields.contains("rope_parameters"))
    fields["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 32.0},    {"beta_fast", 32.0},
                              {"beta_slow", 1.0},    {"truncate", false}, {"original_max_position_embeddings", 4096}};
  return make_rope(config.changed(std::move(fields)), head_dim, config.size("max_position_embeddings", 131072), 150000);
}

/// Floats are stored as [experts, in, out] beside the biases; codes are [experts, out, in] under the decoder's own names.
void name_experts(DecoderConfig& c) {
  for (int64_t i = 0; i < c.layers; ++i)
    for (const char* part : {"gate_up_proj", "down_proj"}) {
      std::string layer = fmt::format("model.layers.{}.mlp.experts.{}", i, part);
      c.weights.set_fallback(layer + ".weight", {{{layer, {}, true}}});
      c.weights.set(layer + ".bias", {{{layer + "_bias"}}});
    }
}

}  // namespace

/// gpt-oss: sinks, experts with biases and clamped gates, every other layer slides.
DecoderConfig configure_gpt_oss(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 201088,
                                               .hidden = 2880,
                                               .intermediate = 2880,
                                               .layers = 36,
                                               .heads = 64,
                                               .kv_heads = 8,
                                               .head_dim = 64,
                                               .max_positions = 131072});
  config.knows({"experts_per_token", "initial_context_length"});  // say again what other keys say
  c.norm.epsilon = config.number("rms_norm_eps", 1e-5);
  c.attention.qkv_bias = c.attention.output_bias = config.flag("attention_bias", true);
  c.attention.has_sinks = true;
  c.ropes = {gpt_oss_rope(config, c.attention.head_dim)};
  int64_t window = size_or_null(config, "sliding_window", 128);
  for (bool slides : sliding_layers(config, c.layers, 2)) c.layer.push_back({.window = slides ? window : 0});
  MoeConfig moe{.experts = config.size("num_local_experts", 128),
                .chosen = config.size("num_experts_per_tok", 4),
                .intermediate = c.mlp.intermediate,
                .clamped = ClampedGate{.limit = static_cast<float>(config.number("swiglu_limit", 7)),
                                       .slope = static_cast<float>(config.number("swiglu_alpha", 1.702))}};
  moe.router.name = "router";
  moe.router.kind = RouterKind::kept_softmax;
  moe.router.has_bias = true;
  set_experts(c, std::move(moe), config);
  name_experts(c);
  return c;
}

}  // namespace nibble
