#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/openvino/patterns.hpp"
#include "tokenizer/openvino/steps.hpp"

namespace nibble::tokenizer {
namespace {

/// What a token takes beside its text.
struct Surroundings {
  std::string before, after;
  bool operator==(const Surroundings&) const = default;
};

Surroundings surroundings_of(const AddedToken& token) {
  const std::string space(kSpaceClass), word = "[" + std::string(kWordItems) + "]";
  Surroundings result;
  // All of a run of spaces from its beginning, or none: trying every part of a long run would take its length squared.
  if (token.lstrip) result.before = "(?:(?<!" + space + ")" + space + "*+|)";
  if (token.single_word) result.before += "(?<!" + word + ")";
  if (token.single_word) result.after = "(?!" + word + ")";
  if (token.rstrip) result.after += space + "*+";
  return result;
}

struct Entry {
  std::string text;
  Surroundings surroundings;
};

/// Longer tokens come first, so that the longest counts. Every match has one group, the token without the spaces around it.
std::string pattern_for(std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.text.size() > b.text.size(); });
  std::string pattern;
  for (size_t i = 0; i < entries.size();) {
    pattern.append(pattern.empty() ? "" : "|").append(entries[i].surroundings.before).append("(");
    const size_t first = i;
    for (; i < entries.size() && entries[i].surroundings == entries[first].surroundings; ++i)
      pattern.append(i == first ? "" : "|").append(literal_pattern(entries[i].text));
    pattern.append(")").append(entries[first].surroundings.after);
  }
  return pattern.empty() ? pattern : "(?|" + pattern + ")";
}

bool all_are_normalized(const std::vector<AddedToken>& tokens) {
  return std::all_of(tokens.begin(), tokens.end(), [](const AddedToken& token) { return token.normalized; });
}

}  // namespace

std::vector<std::pair<std::string, uint32_t>> added_token_pieces(const Pipeline& pipeline) {
  const std::vector<AddedToken>& tokens = pipeline.added_tokens.tokens();
  const bool after = all_are_normalized(tokens);
  std::vector<std::pair<std::string, uint32_t>> pieces;
  for (const AddedToken& token : tokens)
    pieces.emplace_back(after ? normalize_text(pipeline.normalizer.get(), token.content) : token.content, token.id);
  return pieces;
}

AddedTokenPatterns added_token_patterns(const TokenizerView& tokenizer, std::vector<std::string>& notes) {
  const std::vector<AddedToken>& tokens = tokenizer.pipeline.added_tokens.tokens();
  const bool after = all_are_normalized(tokens);
  std::vector<Entry> entries;
  size_t changed = 0, words = 0;
  for (const AddedToken& token : tokens) {
    std::string text = token.normalized ? normalize_text(tokenizer.pipeline.normalizer.get(), token.content) : token.content;
    if (text != token.content && !after) ++changed;
    if (token.single_word) ++words;
    entries.push_back({after ? std::move(text) : token.content, surroundings_of(token)});
  }
  std::erase_if(entries, [](const Entry& entry) { return entry.text.empty(); });
  if (changed > 0) notes.push_back(fmt::format("{} added tokens are looked for as they are spelled, not in the normalized text", changed));
  if (words > 0) notes.push_back(fmt::format("{} added tokens that are no parts of words may be found within words by the model", words));
  std::string pattern = pattern_for(std::move(entries));
  return after ? AddedTokenPatterns{"", std::move(pattern)} : AddedTokenPatterns{std::move(pattern), ""};
}

}  // namespace nibble::tokenizer
