#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/added_tokens.hpp"
#include "tokenizer/decoder.hpp"
#include "tokenizer/model.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/post_processor.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/tokenizer_config.hpp"

namespace nibble::tokenizer {

/// The parts of a tokenizer, in the order a text goes through them. Thread-safe once built. Only the model and the decoder are
/// always there.
struct Pipeline {
  std::unique_ptr<const Normalizer> normalizer;
  std::unique_ptr<const PreTokenizer> pre_tokenizer;
  std::unique_ptr<const Model> model;
  std::unique_ptr<const PostProcessor> post_processor;
  std::unique_ptr<const Decoder> decoder;
  AddedTokens added_tokens;
  /// Special tokens that the file itself names.
  std::optional<std::string> bos_token, eos_token, unk_token;

  /// Splits `text` (valid UTF-8) as far as the model sees it.
  SplitText split(std::string text, bool track) const;
  /// The tokens of `text`, without those that the post-processor adds.
  TokenSequence tokenize(std::string text, bool with_offsets) const;
  /// The token of `id`; nullopt outside the vocabulary.
  std::optional<std::string_view> token(int64_t id) const;
  std::optional<int64_t> id(std::string_view token) const;
};

/// Reads a tokenizer.json. `config` contributes added tokens.
Pipeline read_tokenizer_json(const std::filesystem::path& path, const TokenizerConfig& config);
/// The same of a document; `place` names it in messages.
Pipeline read_tokenizer_json(const nlohmann::json& document, const std::string& place, const TokenizerConfig& config);

struct SentencepieceModel;
/// The model alone: pieces of normalized text to tokens.
std::unique_ptr<const Model> make_sentencepiece_model(const SentencepieceModel& proto, const std::string& place);

/// Reads a sentencepiece model. `config` says what transformers' tokenizer classes would add to it.
Pipeline read_sentencepiece(const std::filesystem::path& path, const TokenizerConfig& config);

}  // namespace nibble::tokenizer
