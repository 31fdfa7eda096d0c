#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "checkpoint/gguf/gguf_hyperparameters.hpp"

namespace nibble {

/// How llama.cpp stores a family of models.
struct GgufArchitecture {
  std::string_view name;  ///< general.architecture
  /// Rotated dimensions of queries and keys lie in pairs (2i, 2i + 1), whatever their order is in the Hugging Face checkpoint.
  bool rotates_pairs = false;
  /// Completes the family's config.json, which has what all share already (see gguf_config).
  void (*configure)(GgufHyperparameters& parameters, nlohmann::json& config) = nullptr;
};

std::span<const GgufArchitecture> gguf_architectures();
/// Throws Error{unsupported} naming the architectures there are.
const GgufArchitecture& find_gguf_architecture(const GgufModel& model);

/// The config.json of a model as transformers' class for it would have it. Throws Error{unsupported} where the metadata says something that
/// would change the computation and is not understood, Error{corrupt} where it contradicts itself.
nlohmann::json gguf_config(const GgufModel& model);

// What the table of architectures consists of: each sets model_type, architectures and what is its own.

void configure_gguf_llama(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_qwen(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_qwen2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_qwen3(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_internlm2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_minicpm(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_baichuan(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_granite(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_smollm3(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_olmo(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_olmo2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_exaone4(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_chatglm(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_glm4(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_gemma(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_gemma2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_gemma3(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_command_r(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_cohere2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_phi2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_phi3(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_stablelm(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_starcoder2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_gpt2(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_starcoder(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_gptneox(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_bloom(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_mpt(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_falcon(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_qwen2moe(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_qwen3moe(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_olmoe(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_granitemoe(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_gpt_oss(GgufHyperparameters& p, nlohmann::json& c);
void configure_gguf_deepseek2(GgufHyperparameters& p, nlohmann::json& c);

/// model_type and architectures.
void name_gguf_class(nlohmann::json& config, const char* model_type, const char* class_name);
/// Whether the linear layers of the first block have biases; all of `layers` ("attn_q", ...) must agree. Fused layers count for q, k and v.
bool has_gguf_biases(const GgufHyperparameters& p, std::initializer_list<std::string_view> layers);
/// Moves what is under `from` to `to`.
void rename_gguf_key(nlohmann::json& config, const char* from, const char* to);
/// layer_types from a list per layer, or from "all but every `pattern`th slides".
void write_gguf_layer_types(GgufHyperparameters& p, int64_t pattern, nlohmann::json& config);

}  // namespace nibble
