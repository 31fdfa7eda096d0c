#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/gguf/gguf_metadata.hpp"

namespace nibble {

/// The tokens of a GGUF file, checked: valid UTF-8, lists of one length. Views into the mapped file.
struct GgufVocabulary {
  enum class Type : int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

  explicit GgufVocabulary(const GgufMetadata& metadata);

  /// The token under a key such as tokenizer.ggml.bos_token_id; `fallback` where the key is not there.
  std::optional<int64_t> special(std::string_view key, std::optional<int64_t> fallback = std::nullopt) const;
  std::string_view text(int64_t id) const { return texts[static_cast<size_t>(id)]; }
  bool is(size_t id, Type type) const { return types[id] == type; }

  const GgufMetadata& metadata;
  bool is_sentencepiece;
  std::vector<std::string_view> texts;
  std::vector<Type> types;
  std::vector<double> scores;                         ///< zeros where there are none
  std::unordered_map<std::string_view, int64_t> ids;  ///< of texts that appear twice the first
};

/// Pairs of pieces that make a piece, best first, from the scores: what sentencepiece merges without a list.
std::vector<std::pair<std::string_view, std::string_view>> sentencepiece_merges(const GgufVocabulary& vocabulary);

}  // namespace nibble
