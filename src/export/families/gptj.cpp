#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

/// GPT-J: rotation of pairs, attention and MLP side by side on one norm.
DecoderConfig configure_gptj(const ModelConfig& config) {
  ModelConfig llama = config.renamed({{"n_embd", "hidden_size"},
                                      {"n_layer", "num_hidden_layers"},
                                      {"n_head", "num_attention_heads"},
                                      {"n_inner", "intermediate_size"},
                                      {"n_positions", "max_position_embeddings"},
                                      {"activation_function", "hidden_act"}});
  int64_t hidden = llama.size("hidden_size", 4096);
  DecoderConfig c = configure_decoder(llama, {.vocab = 50400, .intermediate = 4 * hidden, .layers = 28, .heads = 16});
  c.norm = layer_norm_config(config, "layer_norm_epsilon");
  c.residual = Residual::parallel;
  c.mlp.is_gated = false;
  c.mlp.has_bias = c.head_bias = true;
  c.mlp.activation = llama.text("hidden_act", "gelu_new");
  refuse(config, "rotary: false", !config.flag("rotary", true));
  refuse(config, "scale_attn_weights: false", !config.flag("scale_attn_weights", true));
  config.knows({"n_ctx"});
  c.ropes = {make_rope(llama, config.size("rotary_dim", 64), llama.size("max_position_embeddings", 2048))};
  c.weights.rename("model.embed_tokens.", "transformer.wte.");
  c.weights.rename("model.norm.", "transformer.ln_f.");
  rename_layers(c, "transformer.h.{}.",
                {{"input_layernorm", "ln_1"},
                 {"self_attn.v_proj", "attn.v_proj"},
                 {"self_attn.o_proj", "attn.out_proj"},
                 {"mlp.up_proj", "mlp.fc_in"},
                 {"mlp.down_proj", "mlp.fc_out"}});
  rotate_pairs(c, "transformer.h.{}.attn");
  return c;
}

}  // namespace nibble
