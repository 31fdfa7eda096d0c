#include "checkpoint/gguf/gguf_architecture.hpp"

#include <array>

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_rope.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

using nlohmann::json;

constexpr bool kPairs = true, kHalves = false;

constexpr std::array kArchitectures{
    GgufArchitecture{"llama", kPairs, configure_gguf_llama},
    GgufArchitecture{"qwen2", kHalves, configure_gguf_qwen2},
    GgufArchitecture{"qwen3", kHalves, configure_gguf_qwen3},
    GgufArchitecture{"phi3", kHalves, configure_gguf_phi3},
    GgufArchitecture{"gemma", kHalves, configure_gguf_gemma},
    GgufArchitecture{"gemma2", kHalves, configure_gguf_gemma2},
    GgufArchitecture{"gemma3", kHalves, configure_gguf_gemma3},
    GgufArchitecture{"starcoder2", kHalves, configure_gguf_starcoder2},
    GgufArchitecture{"stablelm", kHalves, configure_gguf_stablelm},
    GgufArchitecture{"phi2", kHalves, configure_gguf_phi2},
    GgufArchitecture{"gpt2", kHalves, configure_gguf_gpt2},
    GgufArchitecture{"falcon", kHalves, configure_gguf_falcon},
    GgufArchitecture{"granite", kPairs, configure_gguf_granite},
    GgufArchitecture{"olmo", kPairs, configure_gguf_olmo},
    GgufArchitecture{"olmo2", kHalves, configure_gguf_olmo2},
    GgufArchitecture{"command-r", kPairs, configure_gguf_command_r},
    GgufArchitecture{"cohere2", kPairs, configure_gguf_cohere2},
    GgufArchitecture{"internlm2", kPairs, configure_gguf_internlm2},
    GgufArchitecture{"minicpm", kPairs, configure_gguf_minicpm},
    GgufArchitecture{"baichuan", kPairs, configure_gguf_baichuan},
    GgufArchitecture{"chatglm", kPairs, configure_gguf_chatglm},
    GgufArchitecture{"glm4", kPairs, configure_gguf_glm4},
    GgufArchitecture{"exaone4", kHalves, configure_gguf_exaone4},
    GgufArchitecture{"smollm3", kPairs, configure_gguf_smollm3},
    GgufArchitecture{"gptneox", kHalves, configure_gguf_gptneox},
    GgufArchitecture{"bloom", kHalves, configure_gguf_bloom},
    GgufArchitecture{"mpt", kHalves, configure_gguf_mpt},
    GgufArchitecture{"starcoder", kHalves, configure_gguf_starcoder},
    GgufArchitecture{"qwen", kHalves, configure_gguf_qwen},
    GgufArchitecture{"qwen2moe", kHalves, configure_gguf_qwen2moe},
    GgufArchitecture{"qwen3moe", kHalves, configure_gguf_qwen3moe},
    GgufArchitecture{"olmoe", kHalves, configure_gguf_olmoe},
    GgufArchitecture{"granitemoe", kPairs, configure_gguf_granitemoe},
    GgufArchitecture{"gpt-oss", kHalves, configure_gguf_gpt_oss},
    GgufArchitecture{"deepseek2", kPairs, configure_gguf_deepseek2},
};

/// A head's elements: what keys have, where the metadata says so. Of latent attention the part that rotates, see there.
int64_t head_size(GgufHyperparameters& p, int64_t hidden, int64_t heads) {
  if (p.size("attention.kv_lora_rank", 0) > 0) return p.size("rope.dimension_count");
  auto key = p.optional_size("attention.key_length"), value = p.optional_size("attention.value_length");
  if (value && *value != key.value_or(*value)) p.refuse(fmt::format("values of another size ({}) than keys ({})", *value, *key));
  int64_t size = key.value_or(hidden / heads);
  if (size < 1) fail(ErrorKind::corrupt, "{}: {} elements cannot have {} heads", p.where(), hidden, heads);
  return size;
}

json common_config(GgufHyperparameters& p) {
  int64_t hidden = p.size("embedding_length"), heads = p.size("attention.head_count");
  json config{{"vocab_size", p.tensor_size("token_embd.weight", 1)},
              {"hidden_size", hidden},
              {"intermediate_size", p.size("feed_forward_length")},
              {"num_hidden_layers", p.size("block_count")},
              {"num_attention_heads", heads},
              {"num_key_value_heads", p.size("attention.head_count_kv", heads)},
              {"head_dim", head_size(p, hidden, heads)},
              {"max_position_embeddings", p.size("context_length")},
              {"tie_word_embeddings", !p.has_tensor("output.weight")},
              {"torch_dtype", "float16"}};
  if (auto epsilon = p.number("attention.layer_norm_rms_epsilon")) config["rms_norm_eps"] = *epsilon;
  if (auto epsilon = p.number("attention.layer_norm_epsilon")) config["layer_norm_eps"] = *epsilon;
  if (!p.flag("attention.causal", true)) p.refuse("attention.causal: false");
  return config;
}

void write_special_tokens(const GgufMetadata& metadata, json& config) {
  for (auto [key, name] : {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                           {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                           {"tokenizer.ggml.padding_token_id", "pad_token_id"}})
    if (auto id = metadata.integer(key)) config[name] = *id;
}

}  // namespace

std::span<const GgufArchitecture> gguf_architectures() { return kArchitectures; }

const GgufArchitecture& find_gguf_architecture(const GgufModel& model) {
  std::string name = GgufHyperparameters(model).architecture(), known;
  for (const GgufArchitecture& architecture : kArchitectures) {
    if (architecture.name == name) return architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  fail(ErrorKind::unsupported, "{}: GGUF models of architecture {} are not supported (supported: {})", model.path().string(), shown(name),
       known);
}

json gguf_config(const GgufModel& model) {
  const GgufArchitecture& architecture = find_gguf_architecture(model);
  GgufHyperparameters parameters(model);
  json config = common_config(parameters);
  write_gguf_rope(parameters, config["head_dim"], config);
  architecture.configure(parameters, config);
  parameters.refuse_unused();
  write_special_tokens(model.metadata(), config);
  return config;
}

void name_gguf_class(json& config, const char* model_type, const char* class_name) {
  config["model_type"] = model_type;
  config["architectures"] = json::array({class_name});
}

bool has_gguf_biases(const GgufHyperparameters& p, std::initializer_list<std::string_view> layers) {
  bool fused = p.has_tensor("blk.0.attn_qkv.weight"), first = false, is_first = true;
  for (std::string_view layer : layers) {
    bool in_fused = fused && (layer == "attn_q" || layer == "attn_k" || layer == "attn_v");
    bool has = p.has_tensor(fmt::format("blk.0.{}.bias", in_fused ? "attn_qkv" : layer));
    if (!std::exchange(is_first, false) && has != first) p.refuse(fmt::format("a bias of {} without those of its neighbours", layer));
    first = has;
  }
  return first;
}

void rename_gguf_key(json& config, const char* from, const char* to) {
  auto found = config.find(from);
  if (found == config.end()) return;
  json value = std::move(*found);
  config.erase(found);
  config[to] = std::move(value);
}

void write_gguf_layer_types(GgufHyperparameters& p, int64_t pattern, json& config) {
  int64_t layers = config.at("num_hidden_layers");
  if (layers > 10000) fail(ErrorKind::corrupt, "{}: {} layers are more than any model has", p.where(), layers);
  std::vector<bool> slides = p.flags("attention.sliding_window_pattern");
  if (slides.empty()) {
    pattern = p.size("attention.sliding_window_pattern", pattern);
    for (int64_t i = 0; i < layers; ++i) slides.push_back(pattern > 0 && (i + 1) % pattern != 0);
  }
  if (slides.size() != static_cast<size_t>(layers))
    fail(ErrorKind::corrupt, "{}: the pattern of sliding windows has {} entries for {} layers", p.where(), slides.size(), layers);
  json types = json::array();
  for (bool slide : slides) types.push_back(slide ? "sliding_attention" : "full_attention");
  config["layer_types"] = std::move(types);
}

}  // namespace nibble
