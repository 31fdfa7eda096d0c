#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// How text is generated: OpenVINO GenAI's GenerationConfig, same names, defaults and meaning. Plain data.
struct GenerationConfig {
  static constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

  size_t max_new_tokens = kUnlimited;  ///< has priority over max_length
  size_t max_length = kUnlimited;      ///< prompt and answer together, in tokens
  size_t min_new_tokens = 0;           ///< no stop token before so many
  bool ignore_eos = false;             ///< go on after an end-of-sequence token; needs a maximal length
  bool echo = false;                   ///< the prompt comes first in ids and text

  std::set<int64_t> eos_token_ids;   ///< from generation_config.json unless given
  std::set<int64_t> stop_token_ids;  ///< further tokens that end an answer
  std::vector<std::string> stop_strings;
  bool include_stop_str_in_output = false;

  bool do_sample = false;  ///< false: the most probable token, the first one on ties
  float temperature = 1.0f;
  size_t top_k = kUnlimited;  ///< 0 or unlimited: off
  float top_p = 1.0f;
  float min_p = 0.0f;  ///< keeps tokens of at least min_p times the best probability
  size_t rng_seed = 0;
  size_t num_return_sequences = 1;  ///< more than one only when sampling

  float repetition_penalty = 1.0f;  ///< over prompt and answer: logit >= 0 divided, < 0 multiplied
  float presence_penalty = 0.0f;    ///< over the answer, once for each token in it, as GenAI applies it
  float frequency_penalty = 0.0f;   ///< the same times its count
  size_t logprobs = 0;              ///< > 0: scores are sums of the chosen tokens' log-probabilities

  bool skip_special_tokens = true;  ///< texts are without special tokens; some models mark reasoning and tool calls by them
  bool apply_chat_template = true;  ///< a text prompt becomes a user's turn where the model has a template

  /// Throws Error{invalid_argument} naming the field, the value and what is allowed.
  void validate() const;
};

/// The defaults that a model ships in generation_config.json (config.json's ids where that is missing) or in the metadata of its GGUF file.
GenerationConfig load_generation_config(const std::filesystem::path& directory);
/// `config` with the fields of a JSON object set ({"max_new_tokens": 20, "stop_strings": ["\n"], ...}); unknown or
/// wrongly typed fields throw Error{invalid_argument}.
GenerationConfig with_json_fields(GenerationConfig config, std::string_view json_object);

}  // namespace nibble
