#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "base/fail.hpp"
#include "tensor/convert.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/byte_trie.hpp"
#include "tokenizer/models/merge_table.hpp"
#include "tokenizer/models/piece_cache.hpp"
#include "tokenizer/openvino/string_op.hpp"
#include "tokenizer/openvino/string_tensors.hpp"
#include "tokenizer/vocabulary.hpp"

namespace nibble::tokenizer {
namespace {

using TrieEntries = std::vector<std::pair<std::string_view, int32_t>>;

/// The longest key that `text` begins with: its length and value; length 0 where there is none.
std::pair<size_t, int32_t> longest(const ByteTrie& trie, std::string_view text) {
  std::pair<size_t, int32_t> found{0, -1};
  trie.for_each_prefix(text, [&](size_t length, int32_t value) { found = {length, value}; });
  return found;
}

/// Pieces in lists to ids in lists.
class ModelOp : public StringOp {
 public:
  void run(std::span<const Tensor> inputs, std::vector<Tensor>& outputs, const RunOptions&) const override {
    const StringsView pieces(inputs, 2);
    const ListsView lists(inputs, 0, pieces.size());
    ListsBuilder id_lists;
    std::vector<int32_t> ids;
    for (size_t list = 0; list < lists.size(); ++list) {
      for (size_t i = lists.begin(list); i < lists.end(list); ++i) tokenize(pieces[i], ids);
      id_lists.end_list(ids.size());
    }
    id_lists.store(lists.shape(), outputs, 0);
    outputs[2] = to_tensor(ids);
  }

 protected:
  virtual void tokenize(std::string_view piece, std::vector<int32_t>& ids) const = 0;
};

/// Byte pair encoding that begins with the longest tokens no merge makes.
class BpeOp : public ModelOp {
 public:
  explicit BpeOp(const StringOpContext& context) {
    const Attributes& attributes = context.node.attributes();
    suffix_ = attributes.get_string("end_suffix");
    Vocabulary vocabulary;
    const std::vector<std::string> tokens = string_constants(context, 5);
    for (size_t id = 0; id < tokens.size(); ++id) vocabulary.insert(tokens[id], static_cast<uint32_t>(id));
    const size_t count = context.node.input_count();
    if (count == 15 || count == 18) add_tokens(context, count - 4, vocabulary);
    if (const auto id = vocabulary.find(attributes.get_string("unk_token"))) unknown_ = static_cast<int32_t>(*id);
    const std::vector<bool> is_merged = add_merges(context, count == 14 || count == 18, vocabulary);
    if (attributes.get_bool("byte_fallback", false))
      for (unsigned byte = 0; byte < 256; ++byte) bytes_[byte] = vocabulary.find(byte_token(static_cast<unsigned char>(byte)));
    TrieEntries entries;
    vocabulary.for_each([&](std::string_view token, uint32_t id) {
      if (!token.empty() && !is_merged[id] && vocabulary.find(token) == id) entries.emplace_back(token, static_cast<int32_t>(id));
    });
    trie_ = ByteTrie(std::move(entries));
  }

 protected:
  void tokenize(std::string_view piece, std::vector<int32_t>& ids) const override {
    std::vector<ModelToken> tokens;
    if (!cache_.find(piece, 0, tokens)) {
      std::vector<Symbol> symbols = suffix_.empty() ? symbols_of(piece) : symbols_of(std::string(piece) + suffix_);
      merge_symbols(symbols, merges_);
      for (const Symbol& symbol : symbols) tokens.push_back({symbol.id, 0, 0});
      cache_.insert(piece, 0, tokens.data(), tokens.size());
    }
    for (const ModelToken& token : tokens) ids.push_back(static_cast<int32_t>(token.id));
  }

 private:
  static void add_tokens(const StringOpContext& context, size_t first, Vocabulary& vocabulary) {
    const std::vector<std::string> added = string_constants(context, first);
    const std::vector<int64_t> ids = to_int64s(context.constant(first + 3));
    if (ids.size() != added.size()) fail(ErrorKind::corrupt, "{} added tokens and {} ids", added.size(), ids.size());
    for (size_t i = 0; i < added.size(); ++i) {
      if (ids[i] < 0 || ids[i] > int64_t{Vocabulary::kMaxId}) fail(ErrorKind::corrupt, "an added token has the id {}", ids[i]);
      if (!vocabulary.find(added[i])) vocabulary.insert(added[i], static_cast<uint32_t>(ids[i]));
    }
  }

  std::vector<bool> add_merges(const StringOpContext& context, bool in_pairs, const Vocabulary& vocabulary) {
    std::vector<std::string> left = string_constants(context, 8), right;
    if (in_pairs) {
      right = string_constants(context, 11);
    } else {
      for (std::string& merge : left) {
        const size_t space = std::min(merge.find(' '), merge.size());
        right.push_back(space < merge.size() ? merge.substr(space + 1) : merge);
        merge.resize(space);
      }
    }
    if (left.size() != right.size()) fail(ErrorKind::corrupt, "{} left and {} right sides of merges", left.size(), right.size());
    std::vector<bool> is_merged(size_t{Vocabulary::kMaxId} + 1);
    merges_.reserve(left.size());
    for (size_t i = 0; i < left.size(); ++i) {
      const auto first = vocabulary.find(left[i]), second = vocabulary.find(right[i]), result = vocabulary.find(left[i] + right[i]);
      if (!first || !second || !result) fail(ErrorKind::corrupt, "merge {} has a token that the vocabulary lacks", i);
      merges_.insert(*first, *second, {static_cast<uint32_t>(i), *result});
      is_merged[*result] = true;
    }
    return is_merged;
  }

  std::vector<Symbol> symbols_of(std::string_view piece) const {
    std::vector<Symbol> symbols;
    for (size_t i = 0; i < piece.size();) {
      const auto [length, id] = longest(trie_, piece.substr(i));
      if (length > 0) {
        symbols.push_back({static_cast<uint32_t>(id), static_cast<uint32_t>(length)});
        i += length;
        continue;
      }
      // fuse_unk has no effect in the extension.
      if (const auto byte = bytes_[static_cast<unsigned char>(piece[i])]) {
        symbols.push_back({*byte, 1});
      } else if (unknown_ >= 0) {
        symbols.push_back({static_cast<uint32_t>(unknown_), 1});
      }
      ++i;
    }
    return symbols;
  }

  std::string suffix_;
  int32_t unknown_ = -1;
  std::array<std::optional<uint32_t>, 256> bytes_;
  MergeTable merges_;
  ByteTrie trie_;
  mutable PieceCache cache_;
};

/// The longest token a word begins with, then the longest continuation; all or nothing.
class WordpieceOp : public ModelOp {
 public:
  explicit WordpieceOp(const StringOpContext& context)
      : unknown_(static_cast<int32_t>(one_integer(context.constant(8)))),
        max_bytes_(context.node.attributes().get_int("max_bytes_per_word", 100)) {
    const std::string suffix = context.node.attributes().get_string("suffix_indicator", "##");
    const std::vector<std::string> tokens = string_constants(context, 5);
    TrieEntries heads, tails;
    for (size_t id = 0; id < tokens.size(); ++id) {
      const bool is_tail = tokens[id].starts_with(suffix);
      const std::string_view key = std::string_view(tokens[id]).substr(is_tail ? suffix.size() : 0);
      if (!key.empty()) (is_tail ? tails : heads).emplace_back(key, static_cast<int32_t>(id));
    }
    heads_ = ByteTrie(std::move(heads));
    tails_ = ByteTrie(std::move(tails));
  }

 protected:
  void tokenize(std::string_view word, std::vector<int32_t>& ids) const override {
    const size_t before = ids.size();
    bool known = static_cast<int64_t>(word.size()) <= max_bytes_;
    for (size_t i = 0; known && i < word.size();) {
      const auto [length, id] = longest(i == 0 ? heads_ : tails_, word.substr(i));
      known = length > 0;
      if (known) ids.push_back(id);
      i += length;
    }
    if (known) return;
    ids.resize(before);
    ids.push_back(unknown_);
  }

 private:
  int32_t unknown_;
  int64_t max_bytes_;
  ByteTrie heads_, tails_;
};

/// sentencepiece's unigram model, with the extension's single precision.
class UnigramOp : public ModelOp {
 public:
  explicit UnigramOp(const StringOpContext& context)
      : unknown_(static_cast<int32_t>(context.node.attributes().get_int("unk_token_id", 0))) {
    const std::vector<std::string> tokens = string_constants(context, 5);
    const auto scores = context.constant(8).as<float>();
    if (scores.size() != tokens.size()) fail(ErrorKind::corrupt, "{} scores for {} tokens", scores.size(), tokens.size());
    scores_.assign(scores.begin(), scores.end());
    float worst = std::numeric_limits<float>::max();
    for (float score : scores_) worst = std::min(worst, score);
    unknown_score_ = worst - kUnknownPenalty;
    TrieEntries entries;
    for (size_t id = 0; id < tokens.size(); ++id)
      if (!tokens[id].empty()) entries.emplace_back(tokens[id], static_cast<int32_t>(id));
    trie_ = ByteTrie(std::move(entries));
  }

 protected:
  void tokenize(std::string_view piece, std::vector<int32_t>& ids) const override {
    const std::vector<Step> best = best_steps(piece);
    const auto first = static_cast<std::ptrdiff_t>(ids.size());
    int32_t previous = -1;
    for (size_t end = piece.size(); end > 0; end = best[end].begin) {
      if (best[end].id != unknown_ || previous != unknown_) ids.push_back(best[end].id);
      previous = best[end].id;
    }
    std::reverse(ids.begin() + first, ids.end());
  }

 private:
  static constexpr float kUnknownPenalty = 10;
  static constexpr size_t kUnreached = ~size_t{0};
  struct Step {
    int32_t id = 0;
    float score = 0;
    size_t begin = kUnreached;
  };

  static size_t character_size(char lead) {
    constexpr std::array<uint8_t, 16> kSizes{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    return kSizes[static_cast<unsigned char>(lead) >> 4];
  }

  std::vector<Step> best_steps(std::string_view piece) const {
    std::vector<Step> best(piece.size() + 1);
    const auto offer = [&](size_t end, const Step& step) {
      if (best[end].begin == kUnreached || step.score > best[end].score) best[end] = step;
    };
    for (size_t begin = 0; begin < piece.size();) {
      const size_t character = std::min(character_size(piece[begin]), piece.size() - begin);
      bool covered = false;
      trie_.for_each_prefix(piece.substr(begin), [&](size_t length, int32_t id) {
        offer(begin + length, {id, scores_[static_cast<size_t>(id)] + best[begin].score, begin});
        covered = covered || length == character;
      });
      if (!covered) offer(begin + character, {unknown_, unknown_score_ + best[begin].score, begin});
      begin += character;
    }
    return best;
  }

  int32_t unknown_;
  float unknown_score_ = 0;
  std::vector<float> scores_;
  ByteTrie trie_;
};

/// RWKV's model: the longest token, again and again.
class TrieOp : public ModelOp {
 public:
  explicit TrieOp(const StringOpContext& context) {
    const std::vector<std::string> tokens = string_constants(context, 5);
    const std::vector<int64_t> ids = to_int64s(context.constant(8));
    if (ids.size() != tokens.size()) fail(ErrorKind::corrupt, "{} ids for {} tokens", ids.size(), tokens.size());
    TrieEntries entries;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (ids[i] < 0 || ids[i] > int64_t{Vocabulary::kMaxId}) fail(ErrorKind::corrupt, "a token has the id {}", ids[i]);
      if (!tokens[i].empty()) entries.emplace_back(tokens[i], static_cast<int32_t>(ids[i]));
    }
    trie_ = ByteTrie(std::move(entries));
  }

 protected:
  void tokenize(std::string_view piece, std::vector<int32_t>& ids) const override {
    while (!piece.empty()) {
      const auto [length, id] = longest(trie_, piece);
      if (length == 0) fail(ErrorKind::invalid_argument, "the vocabulary has no token for byte {}", static_cast<unsigned char>(piece[0]));
      ids.push_back(id);
      piece.remove_prefix(length);
    }
  }

 private:
  ByteTrie trie_;
};

}  // namespace

StringOpPtr make_bpe_tokenizer(const StringOpContext& context) { return std::make_unique<BpeOp>(context); }
StringOpPtr make_wordpiece_tokenizer(const StringOpContext& context) { return std::make_unique<WordpieceOp>(context); }
StringOpPtr make_unigram_tokenizer(const StringOpContext& context) { return std::make_unique<UnigramOp>(context); }
StringOpPtr make_trie_tokenizer(const StringOpContext& context) { return std::make_unique<TrieOp>(context); }

}  // namespace nibble::tokenizer
