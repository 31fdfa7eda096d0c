#include "export/config_keys.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <vector>

#include "base/fail.hpp"

namespace nibble {

namespace {

using std::string_view;

/// Whole keys that say nothing of the computation of a decoder's logits.
constexpr std::array kInert{"_name_or_path",
                            "_attn_implementation",
                            "_attn_implementation_autoset",
                            "_commit_hash",
                            "adapter_path",
                            "add_cross_attention",
                            "architecture",
                            "architectures",
                            "attn_implementation",
                            "auto_map",
                            "bad_words_ids",
                            "begin_suppress_tokens",
                            "bf16",
                            "cache_implementation",
                            "cross_attention_hidden_size",
                            "custom_pipelines",
                            "diversity_penalty",
                            "do_sample",
                            "dtype",
                            "early_stopping",
                            "encoder_no_repeat_ngram_size",
                            "ep_size",
                            "exponential_decay_length_penalty",
                            "expert_parallel",
                            "finetuning_task",
                            "fp16",
                            "fp32",
                            "gradient_checkpointing",
                            "id2label",
                            "is_decoder",
                            "is_encoder_decoder",
                            "is_llama_config",
                            "keys_to_ignore_at_inference",
                            "label2id",
                            "language",
                            "length_penalty",
                            "license",
                            "max_length",
                            "max_new_tokens",
                            "max_sequence_length",
                            "min_length",
                            "model_max_length",
                            "model_name",
                            "model_type",
                            "moe_token_dispatch",
                            "name",
                            "no_bias_in_training",
                            "no_repeat_ngram_size",
                            "no_timestamps",
                            "num_beam_groups",
                            "num_beams",
                            "num_nextn_predict_layers",
                            "num_return_sequences",
                            "onnx_safe",
                            "output_attentions",
                            "output_hidden_states",
                            "output_past",
                            "output_router_logits",
                            "output_scores",
                            "params_dtype",
                            "prefix",
                            "pretraining_tp",
                            "problem_type",
                            "pruned_heads",
                            "quantization_config",
                            "remove_invalid_values",
                            "repetition_penalty",
                            "return_dict",
                            "return_dict_in_generate",
                            "save_model_dtype",
                            "softmax_in_fp32",
                            "suppress_tokens",
                            "task_specific_params",
                            "temperature",
                            "tf_legacy_loss",
                            "tie_encoder_decoder",
                            "tokenizer_class",
                            "tokenizer_name",
                            "tokenizer_type",
                            "top_k",
                            "top_p",
                            "torch_dtype",
                            "torchscript",
                            "js_config",  // "transformers.js_config": keys are looked at behind their last dot
                            "transformers_version",
                            "typical_p",
                            "use_bfloat16",
                            "use_cache",
                            "use_cache_kernel",
                            "use_cache_quantization",
                            "use_flash_attn",
                            "use_mem_efficient",
                            "vocab_file",
                            "special_dtype_overrides",
                            "chunk_size_feed_forward",
                            "decoder_start_token_id",
                            "forced_bos_token_id",
                            "forced_eos_token_id",
                            "sentence_transformers",
                            "pad_token",
                            "bos_token",
                            "eos_token"};

/// Parts of keys of training, tools and vocabularies.
constexpr std::array kInertParts{
    "dropout",  "pdrop",      "dropped", "_token_id", "token_ids",  "_version",        "initializer", "init_",
    "_init",    "_std",       "_loss",   "loss_",     "aux_",       "unsloth",         "summary_",    "classifier",
    "gradient", "flash_attn", "axolotl", "training",  "checkpoint", "softmax_in_fp32", "seq_aux",     "apply_query_key_layer_scaling"};

bool is_inert(string_view key) {
  auto holds = [&](string_view part) { return key.find(part) != string_view::npos; };
  return std::find(kInert.begin(), kInert.end(), key) != kInert.end() || std::any_of(kInertParts.begin(), kInertParts.end(), holds) ||
         key.starts_with("_");
}

bool is_factor(string_view key) {
  auto holds = [&](string_view part) { return key.find(part) != string_view::npos; };
  return holds("scale") || holds("multiplier") || holds("factor");
}

bool switches_nothing_on(string_view key, const nlohmann::json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0 || (is_factor(key) && value.get<double>() == 1);
  if (!value.is_string()) return value.empty();  // null too
  const auto& text = value.get_ref<const std::string&>();
  return text.empty() || text == "none";
}

}  // namespace

void check_understood(const ModelConfig& config, string_view family) {
  std::string keys;
  for (const auto& [key, value] : config.unread())
    if (!is_inert(key.substr(key.rfind('.') + 1)) && !switches_nothing_on(key, value))
      keys += fmt::format("{}\"{}\": {}", keys.empty() ? "" : ", ", key, value.dump().substr(0, 60));
  if (keys.empty()) return;
  fail(ErrorKind::unsupported,
       "{}: Nibble's family \"{}\" does not know what these keys mean, and they may change what the model computes: {}. If they do not "
       "matter, "
       "say --as {}",
       config.where(), family, keys, family);
}

string_view most_similar(string_view name, std::span<const string_view> known) {
  auto distance = [&](string_view other) {
    std::vector<size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < name.size(); ++i) {
      size_t diagonal = std::exchange(row[0], i + 1);
      for (size_t j = 0; j < other.size(); ++j) {
        size_t replaced = diagonal + (name[i] != other[j]);
        diagonal = row[j + 1];
        row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
      }
    }
    return row.back();
  };
  return *std::min_element(known.begin(), known.end(), [&](string_view a, string_view b) { return distance(a) < distance(b); });
}

}  // namespace nibble
