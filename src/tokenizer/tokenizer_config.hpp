#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/added_tokens.hpp"

namespace nibble::tokenizer {

/// What tokenizer_config.json says, with special_tokens_map.json where it is silent.
struct TokenizerConfig {
  std::optional<std::string> bos_token, eos_token, pad_token, unk_token;
  std::optional<bool> add_bos_token, add_eos_token, add_prefix_space;
  bool legacy = true;
  bool clean_up_tokenization_spaces = false;
  std::string tokenizer_class;
  std::map<std::string, std::string, std::less<>> chat_templates;  ///< by name; the only one is called "default"
  std::optional<size_t> model_max_length;
  std::string padding_side, truncation_side;   ///< "left", "right", or empty
  std::vector<std::string> model_input_names;  ///< empty where it is left to the class
  std::vector<AddedToken> added_tokens;        ///< added_tokens_decoder, by id
};

/// Reads the files of `directory`; none need be there.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& directory);
/// The same of the document of a tokenizer_config.json; `place` names it in messages.
TokenizerConfig read_tokenizer_config(const nlohmann::json& document, const std::string& place);

}  // namespace nibble::tokenizer
