// Configurations of models of Llama's skeleton: RMS norms and gated MLPs.
#include <cmath>

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_architecture.hpp"

namespace nibble {

using nlohmann::json;

namespace {

bool has_qkv_biases(const GgufHyperparameters& p) { return has_gguf_biases(p, {"attn_q", "attn_k", "attn_v"}); }
bool has_attention_biases(const GgufHyperparameters& p) { return has_gguf_biases(p, {"attn_q", "attn_k", "attn_v", "attn_output"}); }
bool has_mlp_biases(const GgufHyperparameters& p) { return has_gguf_biases(p, {"ffn_gate", "ffn_up", "ffn_down"}); }

/// The RMS norm's epsilon has no default.
void require_epsilon(const GgufHyperparameters& p, const json& c) {
  if (!c.contains("rms_norm_eps")) fail(ErrorKind::corrupt, "{}: metadata has no epsilon of the norms", p.where());
}

}  // namespace

/// Llama 1 to 3.3, Mistral, Mixtral, and all that are stored as one of them.
void configure_gguf_llama(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  int64_t experts = p.size("expert_count", 0), window = p.size("attention.sliding_window", 0);
  if (experts > 0) {
    name_gguf_class(c, "mixtral", "MixtralForCausalLM");
    c["num_local_experts"] = experts;
    c["num_experts_per_tok"] = p.size("expert_used_count");
    c["sliding_window"] = window > 0 ? json(window) : json(nullptr);
    p.size("expert_feed_forward_length", 0);
    return;
  }
  if (window > 0) {
    name_gguf_class(c, "mistral", "MistralForCausalLM");
    c["sliding_window"] = window;
    return;
  }
  name_gguf_class(c, "llama", "LlamaForCausalLM");
  c["attention_bias"] = has_attention_biases(p);
  c["mlp_bias"] = has_mlp_biases(p);
}

/// Qwen, the first.
void configure_gguf_qwen(GgufHyperparameters& p, json& c) {
  rename_gguf_key(c, "layer_norm_eps", "rms_norm_eps");  // conversions differ in what they call it
  require_epsilon(p, c);
  name_gguf_class(c, "qwen", "QWenLMHeadModel");
  rename_gguf_key(c, "rms_norm_eps", "layer_norm_epsilon");
  rename_gguf_key(c, "rope_theta", "rotary_emb_base");
  rename_gguf_key(c, "head_dim", "kv_channels");
  rename_gguf_key(c, "max_position_embeddings", "seq_length");
  c["no_bias"] = true;
}

void configure_gguf_qwen2(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "qwen2", "Qwen2ForCausalLM");
  c["use_sliding_window"] = false;
}

void configure_gguf_qwen3(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "qwen3", "Qwen3ForCausalLM");
  c["attention_bias"] = has_attention_biases(p);
  c["use_sliding_window"] = false;
}

void configure_gguf_internlm2(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "internlm2", "InternLM2ForCausalLM");
  c["bias"] = has_attention_biases(p);
}

/// Files from before the multipliers were stored are of the first MiniCPM.
void configure_gguf_minicpm(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "minicpm", "MiniCPMForCausalLM");
  double hidden = c.at("hidden_size"), layers = c.at("num_hidden_layers");
  c["scale_emb"] = p.number("embedding_scale", 12);
  c["scale_depth"] = p.number("residual_scale", 1.4 / std::sqrt(layers)) * std::sqrt(layers);
  double logit_scale = p.number("logit_scale", hidden / 256);
  if (!(logit_scale > 0)) fail(ErrorKind::corrupt, "{}: metadata 'minicpm.logit_scale' is {}", p.where(), logit_scale);
  c["dim_model_base"] = hidden / logit_scale;
}

/// Baichuan and Baichuan 2: the 13B models have ALiBi, which nothing but their depth says.
void configure_gguf_baichuan(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "baichuan", "BaichuanForCausalLM");
  bool has_slopes = p.number("attention.max_alibi_bias", c.at("num_hidden_layers") == 40 ? 8 : 0) > 0;
  if (has_slopes) rename_gguf_key(c, "max_position_embeddings", "model_max_length");
}

void configure_gguf_granite(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "granite", "GraniteForCausalLM");
  double head_dim = c.at("head_dim"), scale = p.number("attention.scale", 0);
  c["attention_multiplier"] = scale != 0 ? scale : 1 / std::sqrt(head_dim);
  c["embedding_multiplier"] = p.number("embedding_scale", 1);
  c["residual_multiplier"] = p.number("residual_scale", 1);
  c["logits_scaling"] = p.number("logit_scale", 1);
  c["attention_bias"] = has_attention_biases(p);
  c["mlp_bias"] = has_mlp_biases(p);
}

void configure_gguf_smollm3(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "smollm3", "SmolLM3ForCausalLM");
  c["no_rope_layer_interval"] = 4;
  c["use_sliding_window"] = false;
  c["attention_bias"] = has_attention_biases(p);
  c["mlp_bias"] = has_mlp_biases(p);
}

/// OLMo: layer norms without weights.
void configure_gguf_olmo(GgufHyperparameters& p, json& c) {
  name_gguf_class(c, "olmo", "OlmoForCausalLM");
  double clip = p.number("attention.clamp_kqv", 0);
  c["clip_qkv"] = clip > 0 ? json(clip) : json(nullptr);
}

void configure_gguf_olmo2(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "olmo2", "Olmo2ForCausalLM");
}

/// EXAONE 4: the small model sees everything everywhere.
void configure_gguf_exaone4(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "exaone4", "Exaone4ForCausalLM");
  bool is_large = c.at("num_hidden_layers") == 64;
  int64_t window = p.size("attention.sliding_window", is_large ? 4096 : 0);
  c["sliding_window"] = window > 0 ? json(window) : json(nullptr);
  if (window > 0) write_gguf_layer_types(p, 4, c);
}

/// ChatGLM 3 and GLM-4 9B, which transformers has as "glm".
void configure_gguf_chatglm(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "glm", "GlmForCausalLM");
  c["attention_bias"] = has_qkv_biases(p);
  if (!c.contains("partial_rotary_factor")) c["partial_rotary_factor"] = 1.0;
}

void configure_gguf_glm4(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "glm4", "Glm4ForCausalLM");
  c["attention_bias"] = has_qkv_biases(p);
  if (!c.contains("partial_rotary_factor")) c["partial_rotary_factor"] = 1.0;
}

namespace {

void configure_any_gemma(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  c["hidden_activation"] = "gelu_pytorch_tanh";
  c["attention_bias"] = has_attention_biases(p);
}

/// What scales the scores: that of the largest model of a generation is its own, which nothing but its depth says.
void write_query_scalar(json& c, int64_t layers_of_largest) {
  int64_t hidden = c.at("hidden_size"), heads = c.at("num_attention_heads"), layers = c.at("num_hidden_layers");
  c["query_pre_attn_scalar"] = layers == layers_of_largest ? json(hidden / heads) : c.at("head_dim");
}

}  // namespace

void configure_gguf_gemma(GgufHyperparameters& p, json& c) {
  name_gguf_class(c, "gemma", "GemmaForCausalLM");
  configure_any_gemma(p, c);
}

void configure_gguf_gemma2(GgufHyperparameters& p, json& c) {
  name_gguf_class(c, "gemma2", "Gemma2ForCausalLM");
  configure_any_gemma(p, c);
  write_query_scalar(c, 46);
  c["attn_logit_softcapping"] = p.number("attn_logit_softcapping", 50);
  c["final_logit_softcapping"] = p.number("final_logit_softcapping", 30);
  c["sliding_window"] = p.size("attention.sliding_window", 4096);
  write_gguf_layer_types(p, 2, c);
}

void configure_gguf_gemma3(GgufHyperparameters& p, json& c) {
  name_gguf_class(c, "gemma3_text", "Gemma3ForCausalLM");
  configure_any_gemma(p, c);
  write_query_scalar(c, 62);
  c["rope_local_base_freq"] = p.number("rope.freq_base_swa", 10000);
  double cap = p.number("final_logit_softcapping", 0);
  c["attn_logit_softcapping"] = nullptr;
  c["final_logit_softcapping"] = cap > 0 ? json(cap) : json(nullptr);
  int64_t window = p.size("attention.sliding_window", 0);
  c["sliding_window"] = window > 0 ? json(window) : json(nullptr);
  write_gguf_layer_types(p, 6, c);
}

void configure_gguf_phi3(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "phi3", "Phi3ForCausalLM");
  p.ignore("rope.scaling.original_context_length");
  int64_t window = p.size("attention.sliding_window", 0);
  c["sliding_window"] = window > 0 ? json(window) : json(nullptr);
}

}  // namespace nibble
