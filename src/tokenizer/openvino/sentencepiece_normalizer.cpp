#include "tokenizer/openvino/sentencepiece_normalizer.hpp"

#include "base/utf8.hpp"
#include "tokenizer/metaspace.hpp"

namespace nibble::tokenizer {
namespace {

class MapRules : public CharacterRules {
 public:
  MapRules(std::string_view map, const std::string& place) : map_(map, place) {}
  std::optional<CharacterStep> apply(std::string_view text) const override {
    const auto match = map_.find_longest(text);
    if (!match) return std::nullopt;
    return CharacterStep{match->size, std::string(match->replacement)};
  }

 private:
  CharacterMap map_;
};

}  // namespace

std::unique_ptr<const CharacterRules> make_map_rules(std::string_view map, const std::string& place) {
  return std::make_unique<MapRules>(map, place);
}

CharacterStep SentencepieceNormalizer::next(std::string_view text) const {
  if (kept_) {
    size_t kept = 0;
    kept_->for_each_prefix(text, [&](size_t length, int32_t) { kept = length; });
    if (kept > 0) return {kept, std::string(text.substr(0, kept))};
  }
  if (rules_)
    if (auto step = rules_->apply(text)) return std::move(*step);
  const Utf8Prefix prefix = scan_utf8(text);
  if (prefix.kind != Utf8Kind::complete) return {1, std::string(kReplacementCharacter)};
  return {prefix.size, std::string(text.substr(0, prefix.size))};
}

void SentencepieceNormalizer::append(std::string_view piece, std::string& out) const {
  for (char c : piece) {
    if (c == ' ' && options_.escape_whitespaces) {
      out.append(kMetaspace);
    } else {
      out.push_back(c);
    }
  }
}

std::string SentencepieceNormalizer::normalize(std::string_view text) const {
  std::string result;
  if (options_.remove_extra_whitespaces) {
    while (!text.empty()) {
      const CharacterStep step = next(text);
      if (step.replacement != " ") break;
      text.remove_prefix(step.size);
    }
  }
  if (text.empty()) return result;
  if (options_.add_dummy_prefix) append(" ", result);
  bool after_space = options_.remove_extra_whitespaces;
  while (!text.empty()) {
    const CharacterStep step = next(text);
    text.remove_prefix(step.size);
    std::string_view piece = step.replacement;
    while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
    append(piece, result);
    if (!piece.empty()) after_space = piece.ends_with(' ');
    if (!options_.remove_extra_whitespaces) after_space = false;
  }
  const std::string_view space = options_.escape_whitespaces ? kMetaspace : std::string_view(" ");
  while (options_.remove_extra_whitespaces && result.ends_with(space)) result.resize(result.size() - space.size());
  return result;
}

}  // namespace nibble::tokenizer
