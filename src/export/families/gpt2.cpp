#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// What GPT-2 and StarCoder 1 share: learned positions and layers of the names that GPT-2 gave them.
DecoderConfig configure_gpt(const ModelConfig& config, std::string_view default_activation) {
  ModelConfig llama = config.renamed({{"n_embd", "hidden_size"},
                                      {"n_layer", "num_hidden_layers"},
                                      {"n_head", "num_attention_heads"},
                                      {"n_inner", "intermediate_size"},
                                      {"n_positions", "max_position_embeddings"},
                                      {"activation_function", "hidden_act"}});
  int64_t hidden = llama.size("hidden_size", 768);
  DecoderConfig c = configure_decoder(llama, {.vocab = 50257, .hidden = 768, .intermediate = 4 * hidden, .layers = 12, .heads = 12});
  c.norm = layer_norm_config(config, "layer_norm_epsilon");
  c.mlp.is_gated = false;
  c.mlp.activation = llama.text("hidden_act", default_activation);
  c.mlp.has_bias = c.attention.qkv_bias = c.attention.output_bias = true;
  c.tied_embeddings = config.flag("tie_word_embeddings", true);
  c.ropes.clear();
  c.positions = LearnedPositions{llama.size("max_position_embeddings", 1024), 0};
  config.knows({"n_ctx", "predict_special_tokens"});
  if (!config.flag("scale_attn_weights", true)) c.attention.scale = 1;
  c.weights.rename("model.embed_tokens.", "transformer.wte.");
  c.weights.rename("model.embed_positions.", "transformer.wpe.");
  c.weights.rename("model.norm.", "transformer.ln_f.");
  rename_layers(c, "transformer.h.{}.",
                {{"input_layernorm", "ln_1"},
                 {"post_attention_layernorm", "ln_2"},
                 {"self_attn.o_proj", "attn.c_proj"},
                 {"mlp.up_proj", "mlp.c_fc"},
                 {"mlp.down_proj", "mlp.c_proj"}});
  return c;
}

}  // namespace

/// GPT-2, whose layers are stored as [in, out] (Conv1D).
DecoderConfig configure_gpt2(const ModelConfig& config) {
  refuse(config, "add_cross_attention", config.flag("add_cross_attention", false));
  DecoderConfig c = configure_gpt(config, "gelu_new");
  config.knows({"reorder_and_upcast_attn"});  // the same in other words
  if (config.flag("scale_attn_by_inverse_layer_idx", false))
    for (int64_t i = 0; i < c.layers; ++i) c.layer.push_back({.rope = -1, .score_factor = 1 / static_cast<float>(i + 1)});
  fuse_qkv(c, "transformer.h.{}.attn.c_attn", QkvOrder::stacked, {.transposed = true});
  transpose_layer(c, "self_attn.o_proj", "transformer.h.{}.attn.c_proj");
  transpose_layer(c, "mlp.up_proj", "transformer.h.{}.mlp.c_fc");
  transpose_layer(c, "mlp.down_proj", "transformer.h.{}.mlp.c_proj");
  return c;
}

/// StarCoder and SantaCoder: one key head for all queries, or one for each.
DecoderConfig configure_gpt_bigcode(const ModelConfig& config) {
  DecoderConfig c = configure_gpt(config, "gelu_pytorch_tanh");
  config.knows({"inference_runner", "pad_key_length", "validate_runner_input"});  // of a runner of its own
  bool shared = config.flag("multi_query", true);
  if (shared) c.attention.kv_heads = 1;
  fuse_qkv(c, "transformer.h.{}.attn.c_attn", shared ? QkvOrder::stacked : QkvOrder::grouped);
  return c;
}

}  // namespace nibble
