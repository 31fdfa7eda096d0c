#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/byte_trie.hpp"
#include "tokenizer/character_map.hpp"

namespace nibble::tokenizer {

/// What becomes of the beginning of a text.
struct CharacterStep {
  size_t size;  ///< bytes of the text, at least 1
  std::string replacement;
};

/// Replaces characters and short sequences of them. Immutable and thread-safe.
class CharacterRules {
 public:
  virtual ~CharacterRules() = default;
  /// nullopt where the first character of `text` (not empty) stays as it is.
  virtual std::optional<CharacterStep> apply(std::string_view text) const = 0;
};

/// Those of a compiled character map.
std::unique_ptr<const CharacterRules> make_map_rules(std::string_view map, const std::string& place);
/// Those that OpenVINO's extension calls "nfc", "nfd", "nfkc", "nfkd" or "identity": unlike the normal forms themselves they do not put
/// combining characters in order, and compose only what follows its base directly. Throws Error{unsupported} for other names.
std::unique_ptr<const CharacterRules> make_form_rules(const std::string& form, bool fold_case);

/// sentencepiece's normalizer. Thread-safe.
class SentencepieceNormalizer {
 public:
  struct Options {
    bool add_dummy_prefix = false, remove_extra_whitespaces = false, escape_whitespaces = false;
  };
  /// `rules` and `kept`, strings that stay as they are, may be null.
  SentencepieceNormalizer(std::unique_ptr<const CharacterRules> rules, Options options, std::shared_ptr<const ByteTrie> kept)
      : rules_(std::move(rules)), options_(options), kept_(std::move(kept)) {}

  /// Bytes that are no UTF-8 become U+FFFD.
  std::string normalize(std::string_view text) const;

 private:
  CharacterStep next(std::string_view text) const;
  void append(std::string_view piece, std::string& out) const;

  std::unique_ptr<const CharacterRules> rules_;
  Options options_;
  std::shared_ptr<const ByteTrie> kept_;
};

}  // namespace nibble::tokenizer
