#include "tokenizer/models/bpe.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/metaspace.hpp"
#include "tokenizer/models/makers.hpp"

namespace nibble::tokenizer {

Bpe::Bpe(Vocabulary vocabulary, MergeTable merges, BpeOptions options)
    : Model(std::move(vocabulary)), merges_(std::move(merges)), options_(std::move(options)) {
  if (options_.unk_token) unknown_ = vocabulary_.find(*options_.unk_token);
  if (!options_.byte_fallback) return;
  for (unsigned byte = 0; byte < 256; ++byte) bytes_[byte] = vocabulary_.find(byte_token(static_cast<unsigned char>(byte)));
  find_metaspace_joins();
}

/// Vocabularies of sentencepiece's make see whole texts as one word. A merge never reaches across a place where no token of the
/// vocabulary has these two characters side by side, so words may be cut there, and then their tokens are worth remembering.
void Bpe::find_metaspace_joins() {
  cuts_words_ = options_.continuing_subword_prefix.empty() && options_.end_of_word_suffix.empty() && vocabulary_.find(kMetaspace);
  if (!cuts_words_) return;
  vocabulary_.for_each([this](std::string_view token, uint32_t) {
    for (size_t i = token.find(kMetaspace, 1); i != std::string_view::npos; i = token.find(kMetaspace, i + 1)) {
      metaspace_joins_.insert(code_point_before(token, i).value);
    }
  });
}

bool Bpe::may_cut_before(std::string_view piece, size_t metaspace) const {
  const CodePoint before = code_point_before(piece, metaspace);
  if (metaspace_joins_.contains(before.value)) return false;
  // Characters outside the vocabulary may be fused across the cut.
  return vocabulary_.find(piece.substr(metaspace - before.size, before.size)).has_value();
}

void Bpe::tokenize(std::string_view piece, std::vector<ModelToken>& tokens) const {
  if (options_.ignore_merges) {
    if (const auto id = vocabulary_.find(piece)) return tokens.push_back({*id, 0, static_cast<uint32_t>(piece.size())});
  }
  size_t begin = 0;
  if (cuts_words_) {
    for (size_t i = piece.find(kMetaspace, 1); i != std::string_view::npos; i = piece.find(kMetaspace, i + 1)) {
      if (!may_cut_before(piece, i)) continue;
      tokenize_word(piece.substr(begin, i - begin), static_cast<uint32_t>(begin), tokens);
      begin = i;
    }
  }
  tokenize_word(piece.substr(begin), static_cast<uint32_t>(begin), tokens);
}

void Bpe::tokenize_word(std::string_view word, uint32_t offset, std::vector<ModelToken>& tokens) const {
  if (cache_.find(word, offset, tokens)) return;
  std::vector<Symbol> symbols = symbols_of(word);
  merge_symbols(symbols, merges_);
  const size_t first = tokens.size();
  uint32_t position = offset;
  for (const Symbol& symbol : symbols) {
    tokens.push_back({symbol.id, position, position + symbol.size});
    position += symbol.size;
  }
  cache_.insert(word, offset, tokens.data() + first, tokens.size() - first);
}

bool Bpe::add_bytes(std::string_view character, std::vector<Symbol>& symbols) const {
  const auto id_of = [this](char c) { return bytes_[static_cast<unsigned char>(c)]; };
  if (!options_.byte_fallback || !std::all_of(character.begin(), character.end(), [&](char c) { return id_of(c).has_value(); }))
    return false;
  for (char c : character) symbols.push_back({*id_of(c), 1});
  return true;
}

std::vector<Symbol> Bpe::symbols_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  std::optional<Symbol> unknown;  // not yet added: it may grow
  const auto add_unknown = [&] {
    if (unknown) symbols.push_back(*unknown);
    unknown.reset();
  };
  const bool decorated = !options_.continuing_subword_prefix.empty() || !options_.end_of_word_suffix.empty();
  std::string spelled;
  for (size_t i = 0; i < word.size();) {
    const uint32_t size = code_point_at(word, i).size;
    std::string_view character = word.substr(i, size);
    if (decorated) {
      spelled.assign(i > 0 ? options_.continuing_subword_prefix : "").append(character);
      if (i + size == word.size()) spelled.append(options_.end_of_word_suffix);
      character = spelled;
    }
    i += size;
    if (const auto id = vocabulary_.find(character)) {
      add_unknown();
      symbols.push_back({*id, size});
    } else if (!add_bytes(character, symbols) && options_.unk_token) {
      if (!unknown_) fail_unknown(character);
      if (unknown && options_.fuse_unk) {
        unknown->size += size;
      } else {
        add_unknown();
        unknown = Symbol{*unknown_, size};
      }
    }
  }
  add_unknown();
  return symbols;
}

}  // namespace nibble::tokenizer
