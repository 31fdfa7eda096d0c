#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "export/decoder.hpp"
#include "export/model_config.hpp"

namespace nibble {

/// A model family: how its config.json becomes a decoder.
struct Family {
  std::string_view model_type;
  DecoderConfig (*configure)(const ModelConfig& config);
};

std::span<const Family> families();
/// Throws Error{unsupported} naming the families there are.
const Family& find_family(const ModelConfig& config);
/// By its name; `where` is for the message.
const Family& find_family(std::string_view model_type, std::string_view where);

/// What a family's configuration class takes where config.json says nothing.
struct DecoderDefaults {
  int64_t vocab = 32000, hidden = 4096, intermediate = 11008, layers = 32, heads = 32;
  int64_t kv_heads = 0;  ///< 0 = as many as heads
  int64_t head_dim = 0;  ///< 0 = hidden / heads
  int64_t max_positions = 2048;
};

/// The fields that all families of the Llama skeleton read under the same names.
DecoderConfig configure_decoder(const ModelConfig& config, const DecoderDefaults& defaults);
/// Attention in chunks for sequences longer than those of training (Qwen's models for a million tokens). Up to that length it is plain
/// attention, which transformers computes for all. Throws Error{unsupported} where chunks are shorter.
void accept_dual_chunks(const ModelConfig& config);
/// windows from layer_types or, where that is missing, full attention below max_window_layers (Qwen2, Qwen3); accepts dual chunks.
std::vector<LayerConfig> qwen_windows(const ModelConfig& config, int64_t layers);

// What the other families' files use.

/// A layer norm with weight and bias whose epsilon is under `key`.
NormConfig layer_norm_config(const ModelConfig& config, std::string_view key);
/// Throws Error{unsupported} naming `what` if `is_set`: it changes the computation in a way that is not known here.
void refuse(const ModelConfig& config, std::string_view what, bool is_set);
/// `fallback` where the key is missing, 0 where it is null.
int64_t size_or_null(const ModelConfig& config, std::string_view key, int64_t fallback);
double number_or_null(const ModelConfig& config, std::string_view key, double fallback);
/// The same with rope_scaling's original_max_position_embeddings beside it, where make_rope looks for that of longrope.
ModelConfig with_outer_original_length(const ModelConfig& config);
/// Whether a layer slides, by layer_types or, where that is missing, all but every `pattern`th.
std::vector<bool> sliding_layers(const ModelConfig& config, int64_t layers, int64_t pattern);
/// Puts experts in the place of the MLPs of the layers that have them (by default all); `moe` has the decoder's activation.
void set_experts(DecoderConfig& decoder, MoeConfig moe, const ModelConfig& config, const std::function<bool(int64_t)>& has_experts = {});
/// ALiBi slopes: powers of 2^(-8 / heads), with those of twice as many heads between them where heads is no power of two.
std::vector<float> alibi_slopes(int64_t heads);
/// The same as MPT orders them.
std::vector<float> mpt_slopes(int64_t heads, double bias_max);

DecoderConfig configure_llama(const ModelConfig& config);
DecoderConfig configure_mistral(const ModelConfig& config);
DecoderConfig configure_qwen2(const ModelConfig& config);
DecoderConfig configure_qwen3(const ModelConfig& config);
DecoderConfig configure_gpt2(const ModelConfig& config);
DecoderConfig configure_gpt_bigcode(const ModelConfig& config);
DecoderConfig configure_gptj(const ModelConfig& config);
DecoderConfig configure_gpt_neox(const ModelConfig& config);
DecoderConfig configure_bloom(const ModelConfig& config);
DecoderConfig configure_opt(const ModelConfig& config);
DecoderConfig configure_mpt(const ModelConfig& config);
DecoderConfig configure_falcon(const ModelConfig& config);
DecoderConfig configure_phi(const ModelConfig& config);
DecoderConfig configure_phi3(const ModelConfig& config);
DecoderConfig configure_stablelm(const ModelConfig& config);
DecoderConfig configure_starcoder2(const ModelConfig& config);
DecoderConfig configure_gemma(const ModelConfig& config);
DecoderConfig configure_gemma2(const ModelConfig& config);
DecoderConfig configure_gemma3_text(const ModelConfig& config);
DecoderConfig configure_cohere(const ModelConfig& config);
DecoderConfig configure_cohere2(const ModelConfig& config);
DecoderConfig configure_olmo(const ModelConfig& config);
DecoderConfig configure_olmo2(const ModelConfig& config);
DecoderConfig configure_granite(const ModelConfig& config);
DecoderConfig configure_glm(const ModelConfig& config);
DecoderConfig configure_glm4(const ModelConfig& config);
DecoderConfig configure_chatglm(const ModelConfig& config);
DecoderConfig configure_baichuan(const ModelConfig& config);
DecoderConfig configure_qwen(const ModelConfig& config);
DecoderConfig configure_internlm2(const ModelConfig& config);
DecoderConfig configure_minicpm(const ModelConfig& config);
DecoderConfig configure_exaone4(const ModelConfig& config);
DecoderConfig configure_smollm3(const ModelConfig& config);
DecoderConfig configure_mixtral(const ModelConfig& config);
DecoderConfig configure_qwen2_moe(const ModelConfig& config);
DecoderConfig configure_qwen3_moe(const ModelConfig& config);
DecoderConfig configure_olmoe(const ModelConfig& config);
DecoderConfig configure_phimoe(const ModelConfig& config);
DecoderConfig configure_granitemoe(const ModelConfig& config);
DecoderConfig configure_gpt_oss(const ModelConfig& config);
DecoderConfig configure_deepseek_v2(const ModelConfig& config);
DecoderConfig configure_deepseek_v3(const ModelConfig& config);
DecoderConfig configure_lfm2(const ModelConfig& config);

}  // namespace nibble
