#include <algorithm>
#include <limits>

#include "tokenizer/models/makers.hpp"
#include "tokenizer/utf8.hpp"

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
    vocabulary_.for_each([this](std::string_view token, uint32_t) { longest_ = std::max(longest_, token.size()); });
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
    std::string candidate;
    for (size_t begin = 0; begin < word.size();) {
      size_t end = std::min(word.size(), begin + longest_);
      while (end < word.size() && is_continuation_byte(word[end])) --end;
      std::optional<uint32_t> id;
      for (; end > begin; end -= code_point_before(word, end).size) {
        candidate.assign(begin > 0 ? prefix_ : "").append(word.substr(begin, end - begin));
        id = vocabulary_.find(candidate);
        if (id) break;
      }
      if (!id) return false;
      tokens.push_back({*id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
      begin = end;
    }
    return true;
  }

  std::optional<uint32_t> unknown_;
  std::string prefix_;
  uint64_t max_characters_;
  size_t longest_ = 0;  // bytes of the longest token
};

}  // namespace

std::unique_ptr<const Model> make_word_level(const JsonView& view) {
  return std::make_unique<WordLevel>(read_vocabulary(view.at("vocab")), view.string_or("unk_token", "<unk>"));
}

std::unique_ptr<const Model> make_word_piece(const JsonView& view) {
  const auto limit = view.find("max_input_chars_per_word");
  return std::make_unique<WordPiece>(read_vocabulary(view.at("vocab")), view.string_or("unk_token", "[UNK]"),
                                     view.string_or("continuing_subword_prefix", "##"),
                                     limit ? limit->integer(std::numeric_limits<uint64_t>::max()) : 100);
}

}  // namespace nibble::tokenizer
