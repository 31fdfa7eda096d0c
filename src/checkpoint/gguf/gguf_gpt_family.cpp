// Configurations of models with layer norms, most of them with plain MLPs.
#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_architecture.hpp"

namespace nibble {

using nlohmann::json;

namespace {

void require_epsilon(GgufHyperparameters& p, const json& c) {
  if (!c.contains("layer_norm_eps")) fail(ErrorKind::corrupt, "{}: metadata has no epsilon of the norms", p.where());
}

/// Models without a rotary embedding; `names` of the sizes are the class's own.
void drop_rope(json& c) {
  for (const char* key : {"rope_theta", "rope_scaling", "partial_rotary_factor", "head_dim"}) c.erase(key);
}

/// "partial_rotary_factor" where the class has another default than 1.
void write_rotated_part(json& c) {
  if (!c.contains("partial_rotary_factor")) c["partial_rotary_factor"] = 1.0;
}

}  // namespace

void configure_gguf_phi2(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "phi", "PhiForCausalLM");
  write_rotated_part(c);
  c["intermediate_size"] = p.tensor_size("blk.0.ffn_up.weight", 1);  // conversions write four times the width, whatever it is
  c["hidden_act"] = "gelu_new";
}

void configure_gguf_stablelm(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "stablelm", "StableLmForCausalLM");
  write_rotated_part(c);
  bool is_parallel = p.flag("use_parallel_residual", false) && !p.has_tensor("blk.0.ffn_norm.weight");
  c["use_parallel_residual"] = is_parallel;
  c["use_qkv_bias"] = has_gguf_biases(p, {"attn_q", "attn_k", "attn_v"});
  c["qk_layernorm"] = p.has_tensor("blk.0.attn_q_norm.weight");
}

void configure_gguf_starcoder2(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "starcoder2", "Starcoder2ForCausalLM");
  rename_gguf_key(c, "layer_norm_eps", "norm_epsilon");
  c["use_bias"] = has_gguf_biases(p, {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"});
  c["sliding_window"] = nullptr;
}

namespace {

void configure_any_gpt(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  drop_rope(c);
  c["max_position_embeddings"] = p.tensor_size("position_embd.weight", 1);
  for (auto [from, to] : {std::pair{"hidden_size", "n_embd"},
                          {"num_hidden_layers", "n_layer"},
                          {"num_attention_heads", "n_head"},
                          {"intermediate_size", "n_inner"},
                          {"max_position_embeddings", "n_positions"},
                          {"layer_norm_eps", "layer_norm_epsilon"}})
    rename_gguf_key(c, from, to);
}

}  // namespace

void configure_gguf_gpt2(GgufHyperparameters& p, json& c) {
  name_gguf_class(c, "gpt2", "GPT2LMHeadModel");
  configure_any_gpt(p, c);
  c.erase("num_key_value_heads");
  c["activation_function"] = "gelu_new";
}

void configure_gguf_starcoder(GgufHyperparameters& p, json& c) {
  name_gguf_class(c, "gpt_bigcode", "GPTBigCodeForCausalLM");
  if (c.at("num_key_value_heads") != 1) p.refuse("attention.head_count_kv of other than 1");
  configure_any_gpt(p, c);
  c.erase("num_key_value_heads");
  c["multi_query"] = true;
  c["activation_function"] = "gelu_pytorch_tanh";
}

void configure_gguf_gptneox(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "gpt_neox", "GPTNeoXForCausalLM");
  write_rotated_part(c);
  rename_gguf_key(c, "partial_rotary_factor", "rotary_pct");
  c["use_parallel_residual"] = p.flag("use_parallel_residual", true);
  c["attention_bias"] = has_gguf_biases(p, {"attn_q", "attn_k", "attn_v", "attn_output"});
  c["hidden_act"] = "gelu";
}

void configure_gguf_bloom(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "bloom", "BloomForCausalLM");
  drop_rope(c);
  if (c.at("intermediate_size") != 4 * c.at("hidden_size").get<int64_t>())
    p.refuse("a feed_forward_length that is not four times the width");
  for (auto [from, to] : {std::pair{"num_hidden_layers", "n_layer"},
                          {"num_attention_heads", "n_head"},
                          {"max_position_embeddings", "seq_length"},
                          {"layer_norm_eps", "layer_norm_epsilon"}})
    rename_gguf_key(c, from, to);
  c.erase("num_key_value_heads");
}

void configure_gguf_mpt(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "mpt", "MptForCausalLM");
  drop_rope(c);
  int64_t hidden = c.at("hidden_size"), inner = c.at("intermediate_size");
  double slopes = p.number("attention.max_alibi_bias", 0), clip = p.number("attention.clamp_kqv", 0);
  if (slopes <= 0) p.refuse("attention.max_alibi_bias of 0");
  if (c.at("num_key_value_heads") != c.at("num_attention_heads")) p.refuse("attention.head_count_kv");
  if (inner % hidden != 0) p.refuse("a feed_forward_length that is no multiple of the width");
  c["expansion_ratio"] = inner / hidden;
  c["attn_config"] = {{"alibi", true}, {"alibi_bias_max", slopes}, {"clip_qkv", clip > 0 ? json(clip) : json(nullptr)}};
  for (auto [from, to] : {std::pair{"num_hidden_layers", "n_layers"},
                          {"num_attention_heads", "n_heads"},
                          {"max_position_embeddings", "max_seq_len"},
                          {"hidden_size", "d_model"},
                          {"layer_norm_eps", "layer_norm_epsilon"}})
    rename_gguf_key(c, from, to);
  c.erase("num_key_value_heads");
  c["no_bias"] = true;
}

/// Falcon 7B has one key head, 40B groups of them with two norms, 11B groups with one.
void configure_gguf_falcon(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "falcon", "FalconForCausalLM");
  bool two_norms = p.has_tensor("blk.0.attn_norm_2.weight");
  bool groups = two_norms || c.at("num_key_value_heads") != 1;
  rename_gguf_key(c, "layer_norm_eps", "layer_norm_epsilon");
  rename_gguf_key(c, "num_key_value_heads", "num_kv_heads");
  rename_gguf_key(c, "intermediate_size", "ffn_hidden_size");
  c.erase("head_dim");
  c["new_decoder_architecture"] = groups;
  if (groups) c["num_ln_in_parallel_attn"] = two_norms ? 2 : 1;
  c["multi_query"] = true;
  c["parallel_attn"] = true;
  c["alibi"] = c["bias"] = false;
}

void configure_gguf_command_r(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "cohere", "CohereForCausalLM");
  c["logit_scale"] = p.number("logit_scale", 0.0625);
  c["use_qk_norm"] = p.has_tensor("blk.0.attn_q_norm.weight");
  c["attention_bias"] = has_gguf_biases(p, {"attn_q", "attn_k", "attn_v", "attn_output"});
}

void configure_gguf_cohere2(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "cohere2", "Cohere2ForCausalLM");
  c["logit_scale"] = p.number("logit_scale", 0.0625);
  c["sliding_window"] = p.size("attention.sliding_window");
  write_gguf_layer_types(p, 4, c);
}

}  // namespace nibble
