#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

DecoderConfig configure_any_glm(const ModelConfig& config) {
  DecoderConfig c = configure_decoder(
      config, {.vocab = 151552, .intermediate = 13696, .layers = 40, .kv_heads = 2, .head_dim = 128, .max_positions = 131072});
  c.norm.epsilon = config.number("rms_norm_eps", 1.5625e-7);
  c.attention.qkv_bias = config.flag("attention_bias", true);
  c.ropes = {make_rope(config, c.attention.head_dim, config.size("max_position_embeddings", 131072), 10000, 0.5)};
  rotate_pairs(c, "model.layers.{}.self_attn");
  fuse_gate_up(c, "model.layers.{}.mlp.gate_up_proj");
  return c;
}

}  // namespace

/// GLM-4 9B as transformers has it, GLM-Edge.
DecoderConfig configure_glm(const ModelConfig& config) { return configure_any_glm(config); }

/// GLM-4 of 2025: norms of the sublayers' outputs too.
DecoderConfig configure_glm4(const ModelConfig& config) {
  DecoderConfig c = configure_any_glm(config);
  c.residual = Residual::sandwich;
  rename_layers(c, "model.layers.{}.",
                {{"attention_output_layernorm", "post_self_attn_layernorm"}, {"mlp_output_layernorm", "post_mlp_layernorm"}});
  return c;
}

namespace {

/// rope_ratio divides ChatGLM2's positions; of the later models it multiplies the base. Only the name tells them apart.
Rope chatglm_rope(const ModelConfig& config, int64_t head_dim, int64_t positions) {
  double ratio = config.number("rope_ratio", 1);
  if (config.text("_name_or_path", "").find("chatglm2") == std::string::npos)
    return make_rope(config, head_dim, positions, 10000 * ratio, 0.5);
  nlohmann::json fields = config.json();
  fields["rope_scaling"] = {{"rope_type", "linear"}, {"factor", ratio}};
  return make_rope(config.changed(std::move(fields)), head_dim, positions, 10000, 0.5);
}

}  // namespace

/// ChatGLM2, ChatGLM3 and GLM-4 9B as their authors publish them.
DecoderConfig configure_chatglm(const ModelConfig& config) {
  refuse(config, "rmsnorm: false", !config.flag("rmsnorm", true));
  refuse(config, "original_rope: false", !config.flag("original_rope", true));
  refuse(config, "apply_residual_connection_post_layernorm", config.flag("apply_residual_connection_post_layernorm", false));
  ModelConfig llama = config.renamed({{"padded_vocab_size", "vocab_size"},
                                      {"num_layers", "num_hidden_layers"},
                                      {"ffn_hidden_size", "intermediate_size"},
                                      {"kv_channels", "head_dim"},
                                      {"layernorm_epsilon", "rms_norm_eps"},
                                      {"seq_length", "max_position_embeddings"}});
  DecoderConfig c = configure_decoder(llama, {.vocab = 65024, .intermediate = 13696, .layers = 28, .head_dim = 128});
  c.norm.epsilon = llama.number("rms_norm_eps", 1e-5);
  bool shared = config.flag("multi_query_attention", false), bias = config.flag("add_bias_linear", false);
  c.attention.kv_heads = shared ? config.size("multi_query_group_num", 1) : c.attention.heads;
  check_decoder_config(c, config.where());
  c.attention.qkv_bias = bias || config.flag("add_qkv_bias", false);
  c.attention.output_bias = c.mlp.has_bias = bias;
  c.has_final_norm = config.flag("post_layer_norm", true);
  c.tied_embeddings = config.flag("tie_word_embeddings", false);
  c.ropes = {chatglm_rope(llama, c.attention.head_dim, llama.size("max_position_embeddings", 2048))};
  c.weights.rename("model.embed_tokens.", "transformer.embedding.word_embeddings.");
  c.weights.rename("model.norm.", "transformer.encoder.final_layernorm.");
  c.weights.rename("lm_head.", "transformer.output_layer.");
  rename_layers(c, "transformer.encoder.layers.{}.",
                {{"input_layernorm", "input_layernorm"},
                 {"post_attention_layernorm", "post_attention_layernorm"},
                 {"self_attn.o_proj", "self_attention.dense"},
                 {"mlp.down_proj", "mlp.dense_4h_to_h"}});
  fuse_qkv(c, "transformer.encoder.layers.{}.self_attention.query_key_value", shared ? QkvOrder::stacked : QkvOrder::grouped,
           {.pairs = true});
  fuse_gate_up(c, "transformer.encoder.layers.{}.mlp.dense_h_to_4h");
  return c;
}

}  // namespace nibble
