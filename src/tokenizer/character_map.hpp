#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::tokenizer {

/// sentencepiece's precompiled character map: a double-array trie (Darts) from strings to offsets in a blob of NUL-terminated
/// replacements, stored as u32 size of the trie in bytes, trie, blob. Immutable and thread-safe.
class CharacterMap {
 public:
  /// Throws Error{corrupt} naming `place`.
  CharacterMap(std::string_view bytes, const std::string& place);

  /// The replacement of the shortest entry that `text` begins with: what the `tokenizers` library takes.
  std::optional<std::string_view> find(std::string_view text) const;

  /// An entry that a text begins with: its size, and what stands for it.
  struct Match {
    size_t size;
    std::string_view replacement;
  };
  /// The longest: what sentencepiece takes.
  std::optional<Match> find_longest(std::string_view text) const;

 private:
  template <class Visit>
  void for_each_prefix(std::string_view text, Visit&& visit) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace nibble::tokenizer
