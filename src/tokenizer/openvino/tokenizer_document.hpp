#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tokenizer/tokenizer_config.hpp"

namespace nibble::tokenizer {

/// A tokenizer as the document of a tokenizer.json, whatever file it came from.
struct TokenizerDocument {
  nlohmann::json json;
  TokenizerConfig config;
  std::string place;  ///< for messages
};

/// Reads the tokenizer of a model directory, a GGUF file or a tokenizer's own file, as read_tokenizer() does.
TokenizerDocument read_tokenizer_document(const std::filesystem::path& path);

/// What transformers makes of a sentencepiece model: the document of the tokenizer that read_sentencepiece() reads. Fills in the special
/// tokens that `config` leaves to the model.
nlohmann::json sentencepiece_document(const std::filesystem::path& path, TokenizerConfig& config);

}  // namespace nibble::tokenizer
