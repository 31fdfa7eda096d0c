// Configurations of models with experts.
#include <cmath>

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_architecture.hpp"

namespace nibble {

using nlohmann::json;

namespace {

void require_epsilon(const GgufHyperparameters& p, const json& c) {
  if (!c.contains("rms_norm_eps")) fail(ErrorKind::corrupt, "{}: metadata has no epsilon of the norms", p.where());
}

/// A width from the metadata or, where older files are silent, from the first tensor that has it.
int64_t width(GgufHyperparameters& p, std::string_view key, const char* tensor, int64_t layers) {
  if (int64_t stored = p.size(key, 0); stored > 0) return stored;
  for (int64_t i = 0; i < std::min<int64_t>(layers, 10000); ++i)
    if (std::string name = fmt::format("blk.{}.{}.weight", i, tensor); p.has_tensor(name)) return p.tensor_size(name, 1);
  fail(ErrorKind::corrupt, "{}: metadata '{}.{}' is missing", p.where(), p.architecture(), key);
}

void refuse_router(GgufHyperparameters& p, int64_t usual_gating) {
  int64_t gating = p.size("expert_gating_func", usual_gating);
  if (gating != usual_gating && gating != 0) p.refuse(fmt::format("expert_gating_func {}", gating));
  if (p.number("expert_weights_scale", 1) != 1 && p.number("expert_weights_scale", 1) != 0) p.refuse("expert_weights_scale");
}

void write_qwen_experts(GgufHyperparameters& p, json& c, bool normalizes) {
  int64_t layers = c.at("num_hidden_layers");
  refuse_router(p, 1);
  c["num_experts"] = p.size("expert_count");
  c["num_experts_per_tok"] = p.size("expert_used_count");
  c["moe_intermediate_size"] = width(p, "expert_feed_forward_length", "ffn_gate_exps", layers);
  c["norm_topk_prob"] = p.flag("expert_weights_norm", normalizes);
  c["decoder_sparse_step"] = 1;
  json dense = json::array();
  for (int64_t i = 0; i < std::min<int64_t>(layers, 10000); ++i)
    if (!p.has_tensor(fmt::format("blk.{}.ffn_gate_inp.weight", i))) dense.push_back(i);
  c["mlp_only_layers"] = std::move(dense);
}

}  // namespace

void configure_gguf_qwen2moe(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "qwen2_moe", "Qwen2MoeForCausalLM");
  write_qwen_experts(p, c, false);
  c["shared_expert_intermediate_size"] =
      width(p, "expert_shared_feed_forward_length", "ffn_gate_shexp", c.at("num_hidden_layers").get<int64_t>());
  c["qkv_bias"] = has_gguf_biases(p, {"attn_q", "attn_k", "attn_v"});
  c["use_sliding_window"] = false;
}

void configure_gguf_qwen3moe(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  name_gguf_class(c, "qwen3_moe", "Qwen3MoeForCausalLM");
  write_qwen_experts(p, c, true);
  c["attention_bias"] = has_gguf_biases(p, {"attn_q", "attn_k", "attn_v", "attn_output"});
  c["use_sliding_window"] = false;
}

void configure_gguf_olmoe(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  refuse_router(p, 1);
  name_gguf_class(c, "olmoe", "OlmoeForCausalLM");
  c["num_experts"] = p.size("expert_count");
  c["num_experts_per_tok"] = p.size("expert_used_count");
  c["norm_topk_prob"] = p.flag("expert_weights_norm", false);
}

void configure_gguf_granitemoe(GgufHyperparameters& p, json& c) {
  configure_gguf_granite(p, c);
  refuse_router(p, 1);
  name_gguf_class(c, "granitemoe", "GraniteMoeForCausalLM");
  c.erase("mlp_bias");
  c["num_local_experts"] = p.size("expert_count");
  c["num_experts_per_tok"] = p.size("expert_used_count");
}

/// gpt-oss: the softmax is over the logits of the chosen experts (gating function 3), every other layer slides.
void configure_gguf_gpt_oss(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  refuse_router(p, 3);
  name_gguf_class(c, "gpt_oss", "GptOssForCausalLM");
  c["num_local_experts"] = p.size("expert_count");
  c["num_experts_per_tok"] = p.size("expert_used_count");
  c["intermediate_size"] = width(p, "expert_feed_forward_length", "ffn_gate_exps", 1);
  c["attention_bias"] = true;
  c["swiglu_limit"] = 7.0;
  c["sliding_window"] = p.size("attention.sliding_window");
  if (c.at("rope_scaling").is_object()) c["rope_scaling"]["truncate"] = false;
  write_gguf_layer_types(p, 2, c);
}

namespace {

/// Sizes of heads: files with the mla keys have those of the compressed cache under the usual ones.
void write_latent_heads(GgufHyperparameters& p, json& c) {
  int64_t rotated = p.size("rope.dimension_count"), key = p.size("attention.key_length", 0), value = p.size("attention.value_length", 0);
  key = p.size("attention.key_length_mla", key);
  value = p.size("attention.value_length_mla", value);
  if (key <= rotated || value < 1)
    fail(ErrorKind::corrupt, "{}: keys of {} with {} rotated elements and values of {} are not possible", p.where(), key, rotated, value);
  int64_t query_rank = p.size("attention.q_lora_rank", 0);
  c["q_lora_rank"] = query_rank > 0 ? json(query_rank) : json(nullptr);
  c["kv_lora_rank"] = p.size("attention.kv_lora_rank");
  c["qk_rope_head_dim"] = rotated;
  c["qk_nope_head_dim"] = key - rotated;
  c["v_head_dim"] = value;
  c["num_key_value_heads"] = c.at("num_attention_heads");
  c.erase("head_dim");
}

void write_deepseek_router(GgufHyperparameters& p, json& c, bool has_choice_bias) {
  constexpr int64_t kSoftmax = 1, kSigmoid = 2;
  int64_t gating = p.size("expert_gating_func", 0), groups = std::max<int64_t>(p.size("expert_group_count", 1), 1);
  if (gating == 0) gating = has_choice_bias ? kSigmoid : kSoftmax;
  if (gating != kSoftmax && gating != kSigmoid) p.refuse(fmt::format("expert_gating_func {}", gating));
  c["scoring_func"] = gating == kSigmoid ? "sigmoid" : "softmax";
  c["topk_method"] = has_choice_bias ? "noaux_tc" : groups > 1 ? "group_limited_greedy" : "greedy";
  c["n_group"] = groups;
  c["topk_group"] = std::max<int64_t>(p.size("expert_group_used_count", groups), 1);
  c["norm_topk_prob"] = p.flag("expert_weights_norm", false);
  double scale = p.number("expert_weights_scale", 1);
  c["routed_scaling_factor"] = scale != 0 ? scale : 1;
}

}  // namespace

/// DeepSeek V2 and V3, which only the tensor of the router's biases tells apart.
void configure_gguf_deepseek2(GgufHyperparameters& p, json& c) {
  require_epsilon(p, c);
  int64_t dense = p.size("leading_dense_block_count", 0), experts = p.size("expert_count", 0);
  if (experts == 0) p.refuse("no experts");
  bool has_choice_bias = p.has_tensor(fmt::format("blk.{}.exp_probs_b.bias", dense));
  if (has_choice_bias)
    name_gguf_class(c, "deepseek_v3", "DeepseekV3ForCausalLM");
  else
    name_gguf_class(c, "deepseek_v2", "DeepseekV2ForCausalLM");
  write_latent_heads(p, c);
  write_deepseek_router(p, c, has_choice_bias);
  c["first_k_dense_replace"] = dense;
  c["moe_layer_freq"] = 1;
  c["n_routed_experts"] = experts;
  c["num_experts_per_tok"] = p.size("expert_used_count");
  c["n_shared_experts"] = p.size("expert_shared_count", 0);
  c["moe_intermediate_size"] = p.size("expert_feed_forward_length");
  double log_multiplier = p.number("rope.scaling.yarn_log_multiplier", 0);
  if (log_multiplier != 0) c["rope_scaling"]["mscale"] = c["rope_scaling"]["mscale_all_dim"] = log_multiplier * 10;
}

}  // namespace nibble
