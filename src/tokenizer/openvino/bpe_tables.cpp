#include "tokenizer/openvino/bpe_tables.hpp"

#include <optional>
#include <set>

#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/models/merge_table.hpp"
#include "tokenizer/models/model_lists.hpp"
#include "tokenizer/openvino/character_map_writer.hpp"

namespace nibble::tokenizer {
namespace {

/// The bytes that a token of GPT-2's characters stands for; nullopt where it has others, so that no text can contain it.
std::optional<std::string> bytes_of(std::string_view token) {
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    const CodePoint c = code_point_at(token, i);
    const auto byte = character_to_byte(c.value);
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
    i += c.size;
  }
  return bytes;
}

/// Which tokens the model can make of characters, and with which merges.
class Reach {
 public:
  Reach(const JsonView& model, const Vocabulary& vocabulary)
      : vocabulary_(vocabulary),
        suffix_(model.string_or("end_of_word_suffix", "")),
        byte_fallback_(model.boolean_or("byte_fallback", false)) {
    read_merges(model);
    mark_characters();
    mark_merged();
    if (const auto unknown = vocabulary.find(model.string_or("unk_token", ""))) mark(*unknown);
  }

  bool contains(uint32_t id) const { return id < reached_.size() && reached_[id]; }

  /// Whether the merges make `token` of its characters.
  bool merges_to(std::string_view token, uint32_t id) const {
    std::vector<Symbol> symbols;
    for (size_t i = 0; i < token.size();) {
      const uint32_t size = code_point_at(token, i).size;
      const auto character = vocabulary_.find(token.substr(i, size));
      if (!character) return false;
      symbols.push_back({*character, size});
      i += size;
    }
    merge_symbols(symbols, table_);
    return symbols.size() == 1 && symbols.front().id == id;
  }

  std::vector<std::pair<std::string_view, std::string_view>> merges() const {
    std::vector<std::pair<std::string_view, std::string_view>> usable;
    for (const Rule& rule : rules_)
      if (contains(rule.left) && contains(rule.right)) usable.emplace_back(*vocabulary_.token(rule.left), *vocabulary_.token(rule.right));
    return usable;
  }

 private:
  struct Rule {
    uint32_t left, right, result;
  };

  /// The model has been read before, so that every merge is one.
  void read_merges(const JsonView& model) {
    std::string joined;
    for (const auto& [left, right] : model_lists(model).merges) {
      joined.assign(left).append(right);
      const Rule rule{*vocabulary_.find(left), *vocabulary_.find(right), *vocabulary_.find(joined)};
      table_.insert(rule.left, rule.right, {static_cast<uint32_t>(rules_.size()), rule.result});
      rules_.push_back(rule);
    }
  }

  void mark(uint32_t id) {
    if (id >= reached_.size()) reached_.resize(id + 1, false);
    reached_[id] = true;
  }

  void mark_characters() {
    vocabulary_.for_each([this](std::string_view token, uint32_t id) {
      if (byte_fallback_ && parse_byte_token(token)) return mark(id);
      if (!suffix_.empty() && token.size() > suffix_.size() && token.ends_with(suffix_)) token.remove_suffix(suffix_.size());
      if (!token.empty() && code_point_at(token, 0).size == token.size()) mark(id);
    });
  }

  /// Merges are listed in the order they were learned, so one or two rounds reach all.
  void mark_merged() {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Rule& rule : rules_) {
        if (contains(rule.result) || !contains(rule.left) || !contains(rule.right)) continue;
        mark(rule.result);
        changed = true;
      }
    }
  }

  const Vocabulary& vocabulary_;
  std::string suffix_;
  bool byte_fallback_;
  std::vector<Rule> rules_;
  MergeTable table_;
  std::vector<bool> reached_;
};

class Builder {
 public:
  Builder(const TokenizerView& tokenizer, Spelling spelling)
      : tokenizer_(tokenizer),
        model_(tokenizer.document.at("model")),
        vocabulary_(tokenizer.pipeline.model->vocabulary()),
        spelling_(spelling),
        byte_fallback_(has_byte_fallback(tokenizer)),
        reach_(model_, vocabulary_) {}

  BpeTables build() {
    tables_.tokens.resize(tokens_by_id(tokenizer_.pipeline).size());
    add_added_tokens();
    vocabulary_.for_each([this](std::string_view token, uint32_t id) { add(token, id); });
    for (const auto& [left, right] : reach_.merges()) {
      auto spelled_left = spell(left), spelled_right = spell(right);
      // What is an added token is never made by merging; the operation would not look for it as a whole if it were.
      if (!spelled_left || !spelled_right || added_texts_.contains(*spelled_left + *spelled_right)) continue;
      tables_.merges.emplace_back(std::move(*spelled_left), std::move(*spelled_right));
    }
    return std::move(tables_);
  }

 private:
  std::optional<std::string> spell(std::string_view token) const {
    if (spelling_ == Spelling::raw_bytes) return bytes_of(token);
    return std::string(token);
  }

  /// All occurrences of an added token are pieces of their own, so its text means nothing else.
  void add_added_tokens() {
    const std::string suffix = model_.string_or("end_of_word_suffix", "");
    for (const auto& [piece, id] : added_token_pieces(tokenizer_.pipeline)) {
      std::string text = piece + suffix;
      const auto model_token = vocabulary_.token(id);
      const bool is_needed = model_token && reach_.contains(id) && spell(*model_token) != text;
      tables_.added.emplace_back(text, id);
      if (is_needed) continue;
      added_texts_.insert(text);
      tables_.tokens[id] = std::move(text);
    }
  }

  void add(std::string_view token, uint32_t id) {
    const auto byte = byte_fallback_ ? parse_byte_token(token) : std::nullopt;
    const auto text = byte ? to_utf8(fallback_character(*byte)) : spell(token);
    if (!text || text->empty() || added_texts_.contains(*text)) return;
    if (reach_.contains(id)) tables_.tokens[id] = *text;
    if (!model_.boolean_or("ignore_merges", false) || !is_utf8(*text) || reach_.merges_to(token, id)) return;
    tables_.whole_pieces.push_back(*text);
    tables_.added.emplace_back(std::string(kWholePieceMark) + *text, id);
  }

  const TokenizerView& tokenizer_;
  JsonView model_;
  const Vocabulary& vocabulary_;
  Spelling spelling_;
  bool byte_fallback_;
  Reach reach_;
  BpeTables tables_;
  std::set<std::string> added_texts_;
};

}  // namespace

BpeTables bpe_tables(const TokenizerView& tokenizer, Spelling spelling) { return Builder(tokenizer, spelling).build(); }

}  // namespace nibble::tokenizer
