#include "tokenizer/added_tokens.hpp"

#include <algorithm>

#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

bool within_word(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && is_word(code_point_before(text, begin).value)) || (end < text.size() && is_word(code_point_at(text, end).value));
}

size_t skip_spaces_back(std::string_view text, size_t position, size_t limit) {
  while (position > limit && is_whitespace(code_point_before(text, position).value)) position -= code_point_before(text, position).size;
  return position;
}

size_t skip_spaces(std::string_view text, size_t position) {
  while (position < text.size() && is_whitespace(code_point_at(text, position).value)) position += code_point_at(text, position).size;
  return position;
}

}  // namespace

AddedToken read_added_token(const JsonView& view) {
  AddedToken token;
  token.content = view.at("content").string();
  token.single_word = view.boolean_or("single_word", false);
  token.lstrip = view.boolean_or("lstrip", false);
  token.rstrip = view.boolean_or("rstrip", false);
  token.special = view.boolean_or("special", false);
  token.normalized = view.boolean_or("normalized", !token.special);
  return token;
}

void AddedTokens::add(AddedToken token, const Vocabulary& vocabulary) {
  if (token.content.empty()) return;
  if (const auto known = vocabulary.find(token.content)) token.id = *known;
  const auto [place, is_new] = by_content_.emplace(token.content, tokens_.size());
  if (is_new) {
    by_id_[token.id] = tokens_.size();
    tokens_.push_back(std::move(token));
  } else {
    token.id = tokens_[place->second].id;
    token.special = token.special || tokens_[place->second].special;
    tokens_[place->second] = std::move(token);
  }
}

void AddedTokens::prepare(const Normalizer* normalizer) {
  std::vector<std::pair<std::string_view, int32_t>> original, normalized;
  normalized_.keys.resize(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const auto index = static_cast<int32_t>(i);
    if (!tokens_[i].normalized) {
      original.emplace_back(tokens_[i].content, index);
      continue;
    }
    normalized_.keys[i] = normalize_text(normalizer, tokens_[i].content);
    normalized.emplace_back(normalized_.keys[i], index);
  }
  // Of tokens with one spelling the first counts: special ones before others, then as listed.
  for (auto* entries : {&original, &normalized}) {
    std::reverse(entries->begin(), entries->end());
    std::stable_partition(entries->begin(), entries->end(),
                          [this](const auto& entry) { return !tokens_[static_cast<size_t>(entry.second)].special; });
  }
  original_.trie = ByteTrie(std::move(original));
  normalized_.trie = ByteTrie(std::move(normalized));
}

void AddedTokens::split(SplitText& text, const Search& search) const {
  text.split([&](std::string_view view, std::vector<Cut>& cuts) { find_all(view, search, cuts); });
}

void AddedTokens::find_all(std::string_view text, const Search& search, std::vector<Cut>& cuts) const {
  size_t done = 0;
  for (size_t position = 0; position < text.size() && !search.trie.empty();) {
    size_t length = 0;
    int32_t index = -1;
    if (!search.trie.skips(static_cast<unsigned char>(text[position]))) {
      search.trie.for_each_prefix(text.substr(position), [&](size_t size, int32_t value) {
        length = size;
        index = value;
      });
    }
    if (index < 0) {
      ++position;
      continue;
    }
    size_t begin = position, end = position + length;
    position = end;
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    if (token.single_word && within_word(text, begin, end)) continue;
    if (token.lstrip) begin = skip_spaces_back(text, begin, std::min(begin, done));
    if (token.rstrip) end = skip_spaces(text, end);
    begin = std::max(begin, done);
    if (begin >= end) continue;  // the token before took it all
    if (done < begin) cuts.push_back({done, begin});
    cuts.push_back({begin, end, token.id});
    done = end;
  }
  if (done < text.size()) cuts.push_back({done, text.size()});
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto token = by_content_.find(std::string(content));
  return token == by_content_.end() ? nullptr : &tokens_[token->second];
}

const AddedToken* AddedTokens::find(int64_t id) const {
  const auto token = by_id_.find(id);
  return token == by_id_.end() ? nullptr : &tokens_[token->second];
}

}  // namespace nibble::tokenizer
