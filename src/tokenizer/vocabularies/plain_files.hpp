#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_config.hpp"

namespace nibble::tokenizer {

/// What lies beside a vocabulary that has no tokenizer.json: tokenizer_config.json and special_tokens_map.json as one, added_tokens.json
/// and the model's own config.json. None need be there.
class PlainFiles {
 public:
  explicit PlainFiles(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  /// The class of transformers that reads these files, without "Fast"; empty where nothing says.
  const std::string& tokenizer_class() const { return class_; }
  bool flag(const char* key, bool fallback) const;
  /// Nothing for null and what is missing.
  std::optional<bool> optional_flag(const char* key) const;
  /// The spelling of a special token such as "cls_token".
  std::string token(const char* key, std::string_view fallback) const;
  /// additional_special_tokens, as far as they are spellings or objects with them.
  std::vector<std::string> additional_tokens() const;
  /// Those of added_tokens.json, then those of tokenizer_config.json.
  std::vector<std::pair<std::string, uint32_t>> added_tokens() const;

 private:
  std::filesystem::path directory_;
  nlohmann::json config_, added_;
  std::string class_;
};

/// A tokenizer.json made of a vocabulary, and the special tokens that the tokenizer's class has by default.
struct VocabularyDocument {
  nlohmann::json json;
  std::optional<std::string> bos_token, eos_token, pad_token, unk_token;
};

/// vocab.json with merges.txt beside it, as GPT2Tokenizer, Qwen2Tokenizer, RobertaTokenizer, CLIPTokenizer and their relatives read them.
/// Throws Error{unsupported} for classes that are not known.
VocabularyDocument read_merges_vocabulary(const std::filesystem::path& vocab_json, const PlainFiles& files);
/// vocab.txt: WordPiece, as BertTokenizer and its relatives read it.
VocabularyDocument read_word_pieces(const std::filesystem::path& vocab_txt, const PlainFiles& files);
/// Ranks of byte sequences in tiktoken's format, a line "<base64> <rank>" each: qwen.tiktoken, GLM-4's and Llama 3's tokenizer.model.
VocabularyDocument read_ranks(const std::filesystem::path& file, const PlainFiles& files);
/// Whether a file holds ranks, whatever its name.
bool holds_ranks(const std::filesystem::path& file);
/// ByT5Tokenizer's, which has no vocabulary file: bytes.
VocabularyDocument byte_vocabulary(const PlainFiles& files);

/// The document of any of these files, tokenizer_config.json standing for the last; nothing for files of other kinds.
std::optional<VocabularyDocument> read_vocabulary_document(const std::filesystem::path& file);

}  // namespace nibble::tokenizer
