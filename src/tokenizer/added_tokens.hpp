#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/byte_trie.hpp"
#include "tokenizer/json_view.hpp"
#include "tokenizer/model.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/split_text.hpp"

namespace nibble::tokenizer {

/// A token beside the model's vocabulary, found in the text before the model sees it.
struct AddedToken {
  std::string content;
  uint32_t id = 0;
  bool single_word = false;  ///< not within a word
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool normalized = true;    ///< looked for, itself normalized, in the normalized text
  bool special = false;      ///< left out of decoded text
};

/// Reads the flags and the content; `id` is the caller's.
AddedToken read_added_token(const JsonView& view);

/// All added tokens of a tokenizer. Thread-safe after prepare().
class AddedTokens {
 public:
  /// A token that the model knows keeps the model's id; one that was added before gets the new flags.
  void add(AddedToken token, const Vocabulary& vocabulary);
  /// Builds what is needed for searching; no add() after it.
  void prepare(const Normalizer* normalizer);

  /// Cuts the tokens out that are looked for in the text as given, or in the normalized text.
  void split_original(SplitText& text) const { split(text, original_); }
  void split_normalized(SplitText& text) const { split(text, normalized_); }

  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(int64_t id) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  struct Search {
    ByteTrie trie;
    std::vector<std::string> keys;
  };
  void split(SplitText& text, const Search& search) const;
  void find_all(std::string_view text, const Search& search, std::vector<Cut>& cuts) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, size_t> by_content_;
  std::unordered_map<int64_t, size_t> by_id_;
  Search original_, normalized_;
};

}  // namespace nibble::tokenizer
