#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// Phi-1 to Phi-2.
DecoderConfig configure_phi(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(config, {.vocab = 51200, .hidden = 2048, .intermediate = 8192, .layers = 24});
  c.norm = layer_norm_config(config, "layer_norm_eps");
  c.residual = Residual::parallel;
  c.mlp.is_gated = false;
  c.mlp.activation = config.text("hidden_act", "gelu_new");
  c.mlp.has_bias = c.head_bias = c.attention.qkv_bias = c.attention.output_bias = true;
  if (config.flag("qk_layernorm", false)) c.attention.head_norm = HeadNorm::each, c.attention.head_norm_config = c.norm;
  c.ropes = {make_rope(config, c.attention.head_dim, config.size("max_position_embeddings", 2048), 10000, 0.5)};
  c.weights.rename("model.norm.", "model.final_layernorm.");
  rename_layers(c, "model.layers.{}.",
                {{"self_attn.o_proj", "self_attn.dense"},
                 {"self_attn.q_norm", "self_attn.q_layernorm"},
                 {"self_attn.k_norm", "self_attn.k_layernorm"},
                 {"mlp.up_proj", "mlp.fc1"},
                 {"mlp.down_proj", "mlp.fc2"}});
  return c;
}

namespace {

/// Its class calls longrope yarn too, and knows how long the sequences of its training were.
ModelConfig with_rope_of_phi3(const ModelConfig& config) {
  nlohmann::json json = config.json();
  ModelConfig scaling = config.object("rope_scaling");
  if (scaling.text("type", "") == "yarn") json["rope_scaling"]["type"] = "longrope";
  if (!config.has("original_max_position_embeddings") && !config.object("rope_parameters").has("original_max_position_embeddings"))
    json["original_max_position_embeddings"] = 4096;
  return config.changed(std::move(json));
}

}  // namespace

/// Phi-3, 3.5 and 4 (mini and medium).
DecoderConfig configure_phi3(const ModelConfig& published) {
  ModelConfig config = with_rope_of_phi3(published);
  DecoderConfig c = configure_decoder(config, {.vocab = 32064, .hidden = 3072, .intermediate = 8192, .max_positions = 4096});
  config.knows({"original_max_position_embeddings"});  // of longrope
  refuse(config, "full_attn_mod", config.size("full_attn_mod", 1) != 1);
  c.norm.epsilon = config.number("rms_norm_eps", 1e-5);
  c.layer.assign(static_cast<size_t>(c.layers), {.window = config.optional_size("sliding_window").value_or(0)});
  fuse_qkv(c, "model.layers.{}.self_attn.qkv_proj", QkvOrder::stacked);
  fuse_gate_up(c, "model.layers.{}.mlp.gate_up_proj");
  return c;
}

}  // namespace nibble
