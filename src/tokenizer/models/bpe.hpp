#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tokenizer/model.hpp"
#include "tokenizer/models/merge_table.hpp"
#include "tokenizer/models/piece_cache.hpp"

namespace nibble::tokenizer {

/// The options of a BPE model, as tokenizer.json names them.
struct BpeOptions {
  std::optional<std::string> unk_token;
  std::string continuing_subword_prefix, end_of_word_suffix;
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

/// Byte pair encoding (Sennrich et al., arXiv:1508.07909): characters, merged pair by pair. Thread-safe.
class Bpe : public Model {
 public:
  Bpe(Vocabulary vocabulary, MergeTable merges, BpeOptions options);
  void tokenize(std::string_view piece, std::vector<ModelToken>& tokens) const override;
  std::optional<uint32_t> unknown_id() const override { return unknown_; }

 private:
  void tokenize_word(std::string_view word, uint32_t offset, std::vector<ModelToken>& tokens) const;
  std::vector<Symbol> symbols_of(std::string_view word) const;
  bool add_bytes(std::string_view character, std::vector<Symbol>& symbols) const;
  bool may_cut_before(std::string_view piece, size_t metaspace) const;
  void find_metaspace_joins();

  MergeTable merges_;
  BpeOptions options_;
  std::optional<uint32_t> unknown_;
  std::array<std::optional<uint32_t>, 256> bytes_;
  /// Whether words may be cut before U+2581, and the characters after which some token goes on with one.
  bool cuts_words_ = false;
  std::set<char32_t> metaspace_joins_;
  mutable PieceCache cache_;
};

}  // namespace nibble::tokenizer
