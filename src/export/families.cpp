#include "export/families.hpp"

#include <array>
#include <bit>
#include <cmath>

#include "base/fail.hpp"
#include "export/config_keys.hpp"

namespace nibble {

namespace {

constexpr std::array kFamilies{
    Family{"llama", configure_llama},
    Family{"mistral", configure_mistral},
    Family{"qwen2", configure_qwen2},
    Family{"qwen3", configure_qwen3},
    Family{"gpt2", configure_gpt2},
    Family{"gpt_bigcode", configure_gpt_bigcode},
    Family{"gptj", configure_gptj},
    Family{"gpt_neox", configure_gpt_neox},
    Family{"bloom", configure_bloom},
    Family{"opt", configure_opt},
    Family{"mpt", configure_mpt},
    Family{"falcon", configure_falcon},
    Family{"phi", configure_phi},
    Family{"phi3", configure_phi3},
    Family{"stablelm", configure_stablelm},
    Family{"starcoder2", configure_starcoder2},
    Family{"gemma", configure_gemma},
    Family{"gemma2", configure_gemma2},
    Family{"gemma3_text", configure_gemma3_text},
    Family{"cohere", configure_cohere},
    Family{"cohere2", configure_cohere2},
    Family{"olmo", configure_olmo},
    Family{"olmo2", configure_olmo2},
    Family{"granite", configure_granite},
    Family{"glm", configure_glm},
    Family{"glm4", configure_glm4},
    Family{"chatglm", configure_chatglm},
    Family{"baichuan", configure_baichuan},
    Family{"qwen", configure_qwen},
    Family{"internlm2", configure_internlm2},
    Family{"minicpm", configure_minicpm},
    Family{"exaone4", configure_exaone4},
    Family{"smollm3", configure_smollm3},
    Family{"mixtral", configure_mixtral},
    Family{"qwen2_moe", configure_qwen2_moe},
    Family{"qwen3_moe", configure_qwen3_moe},
    Family{"olmoe", configure_olmoe},
    Family{"phimoe", configure_phimoe},
    Family{"granitemoe", configure_granitemoe},
    Family{"gpt_oss", configure_gpt_oss},
    Family{"deepseek_v2", configure_deepseek_v2},
    Family{"deepseek_v3", configure_deepseek_v3},
    Family{"lfm2", configure_lfm2},
};

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family& find_family(std::string_view model_type, std::string_view where) {
  std::vector<std::string_view> known;
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return family;
    known.push_back(family.model_type);
  }
  fail(ErrorKind::unsupported,
       "{}: model type \"{}\" is not supported. The name most like it is {}: nibble export --as {} tries that (supported: {})", where,
       model_type, most_similar(model_type, known), most_similar(model_type, known), fmt::join(known, ", "));
}

const Family& find_family(const ModelConfig& config) { return find_family(config.model_type(), config.where()); }

DecoderConfig configure_decoder(const ModelConfig& config, const DecoderDefaults& defaults) {
  DecoderConfig c;
  AttentionConfig& a = c.attention;
  c.vocab = config.size("vocab_size", defaults.vocab);
  c.hidden = config.size("hidden_size", defaults.hidden);
  c.mlp.intermediate = config.size("intermediate_size", defaults.intermediate);
  c.layers = config.size("num_hidden_layers", defaults.layers);
  a.heads = config.size("num_attention_heads", defaults.heads);
  bool kv_is_null = config.json().contains("num_key_value_heads") && !config.has("num_key_value_heads");
  a.kv_heads = config.size("num_key_value_heads", defaults.kv_heads > 0 && !kv_is_null ? defaults.kv_heads : a.heads);
  a.head_dim = config.size("head_dim", defaults.head_dim > 0 ? defaults.head_dim : c.hidden / a.heads);
  if (a.head_dim < 1) fail(ErrorKind::corrupt, "{}: a hidden size of {} cannot have {} heads", config.where(), c.hidden, a.heads);
  c.norm.epsilon = config.number("rms_norm_eps", 1e-6);
  c.mlp.activation = config.text("hidden_act", "silu");
  c.tied_embeddings = config.flag("tie_word_embeddings", false);
  check_decoder_config(c, config.where());
  c.ropes = {make_rope(config, a.head_dim, config.size("max_position_embeddings", defaults.max_positions))};
  return c;
}

NormConfig layer_norm_config(const ModelConfig& config, std::string_view key) {
  return {NormKind::layer, config.number(key, 1e-5), true, true};
}

void refuse(const ModelConfig& config, std::string_view what, bool is_set) {
  if (is_set)
    fail(ErrorKind::unsupported, "{}: \"{}\" is not supported for model type \"{}\"", config.where(), what, config.text("model_type", ""));
}

namespace {

bool is_null(const ModelConfig& config, std::string_view key) {
  auto found = config.json().find(key);
  return found != config.json().end() && found->is_null();
}

/// layer_types as whether a layer slides; empty where it is missing.
std::vector<bool> named_sliding_layers(const ModelConfig& config, int64_t layers) {
  auto types = config.texts("layer_types");
  if (!types.empty() && types.size() < static_cast<size_t>(layers))
    fail(ErrorKind::corrupt, "{}: \"layer_types\" has entries for {} of {} layers", config.where(), types.size(), layers);
  std::vector<bool> slides;
  for (const auto& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      fail(ErrorKind::unsupported, "{}: \"layer_types\" names \"{}\" (supported: full_attention, sliding_attention)", config.where(), type);
    slides.push_back(type == "sliding_attention");
  }
  if (!slides.empty()) slides.resize(static_cast<size_t>(layers));
  return slides;
}

}  // namespace

int64_t size_or_null(const ModelConfig& config, std::string_view key, int64_t fallback) {
  return is_null(config, key) ? 0 : config.size(key, fallback);
}

double number_or_null(const ModelConfig& config, std::string_view key, double fallback) {
  return is_null(config, key) ? 0 : config.number(key, fallback);
}

ModelConfig with_outer_original_length(const ModelConfig& config) {
  constexpr const char* kKey = "original_max_position_embeddings";
  ModelConfig scaling = config.object(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  nlohmann::json fields = config.json();
  if (scaling.has(kKey)) fields[kKey] = scaling.json()[kKey];
  return config.changed(std::move(fields));
}

std::vector<bool> sliding_layers(const ModelConfig& config, int64_t layers, int64_t pattern) {
  std::vector<bool> slides = named_sliding_layers(config, layers);
  if (slides.empty())
    for (int64_t i = 0; i < layers; ++i) slides.push_back((i + 1) % pattern != 0);
  return slides;
}

void accept_dual_chunks(const ModelConfig& config) {
  if (!config.has("dual_chunk_attention_config")) return;
  ModelConfig chunks = config.object("dual_chunk_attention_config");
  chunks.knows({"local_size", "sparse_attention_config", "sparse_attention_enabled", "sparse_attention_threshold"});
  int64_t trained = chunks.size("original_max_position_embeddings", config.size("max_position_embeddings", 32768));
  refuse(config, "dual_chunk_attention_config", chunks.size("chunk_size", 8192) < trained);
}

std::vector<LayerConfig> qwen_windows(const ModelConfig& config, int64_t layers) {
  accept_dual_chunks(config);
  int64_t window = size_or_null(config, "sliding_window", 4096);
  if (!config.flag("use_sliding_window", false)) window = 0;
  double full_layers = config.number("max_window_layers", 28);
  std::vector<bool> slides = named_sliding_layers(config, layers);
  if (slides.empty())
    for (int64_t i = 0; i < layers; ++i) slides.push_back(static_cast<double>(i) >= full_layers);
  std::vector<LayerConfig> all;
  for (bool layer_slides : slides) all.push_back({.window = layer_slides ? window : 0});
  return all;
}

void set_experts(DecoderConfig& decoder, MoeConfig moe, const ModelConfig& config, const std::function<bool(int64_t)>& has_experts) {
  moe.activation = decoder.mlp.activation;
  check_moe_config(moe, config.where());
  decoder.moe = std::move(moe);
  if (decoder.layer.empty()) decoder.layer.assign(static_cast<size_t>(decoder.layers), {.rope = decoder.ropes.empty() ? -1 : 0});
  for (int64_t i = 0; i < decoder.layers; ++i) decoder.layer[static_cast<size_t>(i)].has_experts = !has_experts || has_experts(i);
}

std::vector<float> alibi_slopes(int64_t heads) {
  auto largest_power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  std::vector<float> slopes;
  for (int64_t i = 1; i <= largest_power; ++i)
    slopes.push_back(static_cast<float>(std::exp2(-8.0 * static_cast<double>(i) / static_cast<double>(largest_power))));
  for (int64_t i = 1; largest_power < heads && i <= 2 * (heads - largest_power); i += 2)
    slopes.push_back(static_cast<float>(std::exp2(-4.0 * static_cast<double>(i) / static_cast<double>(largest_power))));
  return slopes;
}

std::vector<float> mpt_slopes(int64_t heads, double bias_max) {
  auto power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(heads)));
  auto slope = [&](int64_t i) { return static_cast<float>(std::exp2(-bias_max * static_cast<double>(i) / static_cast<double>(power))); };
  std::vector<float> slopes;
  if (power == heads)
    for (int64_t i = 1; i <= power; ++i) slopes.push_back(slope(i));
  else
    for (int64_t first : {2, 1})  // those between the powers of two first
      for (int64_t i = first; i <= power && static_cast<int64_t>(slopes.size()) < heads; i += 2) slopes.push_back(slope(i));
  return slopes;
}

}  // namespace nibble
