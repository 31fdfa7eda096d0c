#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "export/families.hpp"
#include "export/layer_names.hpp"

namespace nibble {

namespace {

/// The width that intermediate_size stands for.
int64_t lfm2_width(const ModelConfig& config) {
  int64_t width = config.size("block_ff_dim", config.size("intermediate_size", 12288));
  config.knows({"block_multiple_of", "block_ffn_dim_multiplier"});
  if (!config.flag("block_auto_adjust_ff_dim", true)) return width;
  width = 2 * width / 3;
  if (config.json().contains("block_ffn_dim_multiplier") && !config.has("block_ffn_dim_multiplier")) return width;
  double factor = config.number("block_ffn_dim_multiplier", 1);
  if (!(factor > 0 && factor < 1000)) fail(ErrorKind::corrupt, "{}: \"block_ffn_dim_multiplier\" is {}", config.where(), factor);
  width = static_cast<int64_t>(factor * static_cast<double>(width));
  int64_t unit = config.size("block_multiple_of", 256);
  return (width + unit - 1) / unit * unit;
}

/// By layer_types, older files by full_attn_idxs.
std::vector<bool> convolving_layers(const ModelConfig& config, int64_t layers) {
  std::vector<std::string> types = config.texts("layer_types");
  std::vector<double> attending = config.numbers("full_attn_idxs");
  if (!types.empty() && types.size() < static_cast<size_t>(layers))
    fail(ErrorKind::corrupt, "{}: \"layer_types\" has entries for {} of {} layers", config.where(), types.size(), layers);
  std::vector<bool> convolving;
  for (int64_t i = 0; i < layers; ++i) {
    if (types.empty()) {
      bool attends = std::find(attending.begin(), attending.end(), static_cast<double>(i)) != attending.end();
      convolving.push_back(config.has("full_attn_idxs") && !attends);
      continue;
    }
    const std::string& type = types[static_cast<size_t>(i)];
    if (type != "conv" && type != "full_attention")
      fail(ErrorKind::unsupported, "{}: \"layer_types\" names \"{}\" (supported: conv, full_attention)", config.where(), type);
    convolving.push_back(type == "conv");
  }
  return convolving;
}

}  // namespace

/// LFM2: short gated convolutions between layers with attention.
DecoderConfig configure_lfm2(const ModelConfig& config) {
  ModelConfig llama = config.renamed({{"theta", "rope_theta"}, {"tie_embedding", "tie_word_embeddings"}});
  DecoderConfig c = configure_decoder(llama, {.vocab = 65536, .hidden = 2560, .kv_heads = 8, .max_positions = 128000});
  config.knows({"block_dim", "block_norm_eps", "num_heads"});  // say again what other keys say
  refuse(config, "block_use_swiglu: false", !config.flag("block_use_swiglu", true));
  refuse(config, "use_pos_enc: false", !config.flag("use_pos_enc", true));
  for (const char* width : {"conv_dim", "conv_dim_out"}) refuse(config, width, config.size(width, c.hidden) != c.hidden);
  c.norm.epsilon = config.number("norm_eps", 1e-5);
  c.attention.head_norm = HeadNorm::each;
  c.attention.head_norm_config = c.norm;
  c.mlp = {.intermediate = lfm2_width(config)};
  c.tied_embeddings = llama.flag("tie_word_embeddings", true);
  c.ropes = {make_rope(llama, c.attention.head_dim, config.size("max_position_embeddings", 128000), 1e6)};
  c.convolution = ShortConvConfig{config.size("conv_L_cache", 3), config.flag("conv_bias", false)};
  for (bool convolves : convolving_layers(config, c.layers)) c.layer.push_back({.has_convolution = convolves});
  if (c.convolution->kernel > 1024)
    fail(ErrorKind::corrupt, "{}: kernels of {} tokens are not short", config.where(), c.convolution->kernel);
  c.weights.rename("model.norm.", "model.embedding_norm.");
  rename_layers(c, "model.layers.{}.",
                {{"input_layernorm", "operator_norm"},
                 {"post_attention_layernorm", "ffn_norm"},
                 {"self_attn.q_norm", "self_attn.q_layernorm"},
                 {"self_attn.k_norm", "self_attn.k_layernorm"},
                 {"self_attn.o_proj", "self_attn.out_proj"},
                 {"mlp.gate_proj", "feed_forward.w1"},
                 {"mlp.up_proj", "feed_forward.w3"},
                 {"mlp.down_proj", "feed_forward.w2"}});
  return c;
}

}  // namespace nibble
