#include <limits>

#include "base/utf8.hpp"
#include "tokenizer/byte_trie.hpp"
#include "tokenizer/models/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// One token per word.
class WordLevel : public Model {
 public:
  WordLevel(Vocabulary vocabulary, std::string_view unknown) : Model(std::move(vocabulary)), unknown_(vocabulary_.find(unknown)) {}

  void tokenize(std::string_view piece, std::vector<ModelToken>& tokens) const override {
    const auto known = vocabulary_.find(piece);
    if (!known && !unknown_) fail_unknown(piece);
    tokens.push_back({known ? *known : *unknown_, 0, static_cast<uint32_t>(piece.size())});
  }
  std::optional<uint32_t> unknown_id() const override { return unknown_; }

 private:
  std::optional<uint32_t> unknown_;
};

/// BERT's model: the longest token a word begins with, then the longest continuation, and so on; all or nothing.
class WordPiece : public Model {
 public:
  WordPiece(Vocabulary vocabulary, std::string_view unknown, std::string prefix, uint64_t max_characters)
      : Model(std::move(vocabulary)), unknown_(vocabulary_.find(unknown)), prefix_(std::move(prefix)), max_characters_(max_characters) {
    std::vector<std::pair<std::string_view, int32_t>> heads, tails;
    vocabulary_.for_each([&](std::string_view token, uint32_t id) {
      heads.emplace_back(token, static_cast<int32_t>(id));
      if (token.starts_with(prefix_)) tails.emplace_back(token.substr(prefix_.size()), static_cast<int32_t>(id));
    });
    heads_ = ByteTrie(std::move(heads));
    tails_ = ByteTrie(std::move(tails));
  }

  void tokenize(std::string_view piece, std::vector<ModelToken>& tokens) const override {
    const size_t before = tokens.size();
    if (count_code_points(piece) <= max_characters_ && split_word(piece, tokens)) return;
    if (!unknown_) fail_unknown(piece);
    tokens.resize(before);
    tokens.push_back({*unknown_, 0, static_cast<uint32_t>(piece.size())});
  }
  std::optional<uint32_t> unknown_id() const override { return unknown_; }

 private:
  bool split_word(std::string_view word, std::vector<ModelToken>& tokens) const {
    for (size_t begin = 0; begin < word.size();) {
      size_t size = 0;
      int32_t id = 0;
      (begin == 0 ? heads_ : tails_).for_each_prefix(word.substr(begin), [&](size_t length, int32_t value) {
        size = length;
        id = value;
      });
      if (size == 0) return false;
      tokens.push_back({static_cast<uint32_t>(id), static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + size)});
      begin += size;
    }
    return true;
  }

  std::optional<uint32_t> unknown_;
  std::string prefix_;
  uint64_t max_characters_;
  ByteTrie heads_, tails_;  // what a word may begin and go on with
};

}  // namespace

std::unique_ptr<const Model> make_word_level(const JsonView& view, const ModelLists& lists) {
  return std::make_unique<WordLevel>(make_vocabulary(view, lists), view.string_or("unk_token", "<unk>"));
}

std::unique_ptr<const Model> make_word_piece(const JsonView& view, const ModelLists& lists) {
  const auto limit = view.find("max_input_chars_per_word");
  return std::make_unique<WordPiece>(make_vocabulary(view, lists), view.string_or("unk_token", "[UNK]"),
                                     view.string_or("continuing_subword_prefix", "##"),
                                     limit ? limit->integer(std::numeric_limits<uint64_t>::max()) : 100);
}

}  // namespace nibble::tokenizer
