#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include "base/base64.hpp"
#include "base/fail.hpp"
#include "tokenizer/character_map.hpp"
#include "tokenizer/normalizers/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// Calls visit(grapheme) for the user-perceived characters of `text`.
template <class Visit>
void for_each_grapheme(std::string_view text, Visit&& visit) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> graphemes(icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  UText source = UTEXT_INITIALIZER;
  utext_openUTF8(&source, text.data(), static_cast<int64_t>(text.size()), &status);
  if (U_SUCCESS(status)) graphemes->setText(&source, status);
  if (U_FAILURE(status)) fail(ErrorKind::device, "ICU cannot find character boundaries: {}", u_errorName(status));
  int32_t begin = 0;
  for (int32_t end = graphemes->next(); end != icu::BreakIterator::DONE; end = graphemes->next()) {
    visit(text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    begin = end;
  }
  utext_close(&source);
}

struct Change {
  char32_t character;
  int change;
};

void replace(std::vector<Change>& changes, std::string_view before, std::string_view after) {
  const int difference = static_cast<int>(count_code_points(after)) - static_cast<int>(count_code_points(before));
  for (size_t i = 0; i < after.size();) {
    const CodePoint c = code_point_at(after, i);
    changes.push_back({c.value, 0});
    i += c.size;
  }
  for (int i = 0; i < difference; ++i) changes[changes.size() - 1 - static_cast<size_t>(i)].change = 1;
  if (difference < 0 && !changes.empty()) changes.back().change += difference;
}

/// Replaces through sentencepiece's character map as the `tokenizers` library does: short graphemes as a whole where the map has
/// something they begin with, characters one by one otherwise.
class Precompiled : public Normalizer {
 public:
  Precompiled(std::string_view bytes, const std::string& place) : map_(bytes, place) {}

  void normalize(SplitText& text) const override {
    text.rewrite([this](std::string_view view, TextRewriter& out) {
      std::vector<Change> changes;
      bool modified = false;
      for_each_grapheme(view, [&](std::string_view grapheme) { modified |= add(changes, grapheme); });
      if (!modified) return out.keep_rest();
      for (const Change& change : changes) out.emit(change.character, change.change);
    });
  }

 private:
  static constexpr size_t kShortGrapheme = 6;

  bool add(std::vector<Change>& changes, std::string_view grapheme) const {
    if (grapheme.size() < kShortGrapheme) {
      if (const auto replacement = map_.find(grapheme)) {
        replace(changes, grapheme, *replacement);
        return true;
      }
    }
    bool modified = false;
    for (size_t i = 0; i < grapheme.size();) {
      const CodePoint c = code_point_at(grapheme, i);
      const std::string_view character = grapheme.substr(i, c.size);
      if (const auto replacement = map_.find(character)) {
        replace(changes, character, *replacement);
        modified = true;
      } else {
        changes.push_back({c.value, 0});
      }
      i += c.size;
    }
    return modified;
  }

  CharacterMap map_;
};

}  // namespace

NormalizerPtr make_precompiled(std::string charsmap, const std::string& place) { return std::make_unique<Precompiled>(charsmap, place); }

NormalizerPtr make_precompiled(const JsonView& view) {
  const JsonView map = view.at("precompiled_charsmap");
  return make_precompiled(decode_base64(map.string(), map.place()), map.place());
}

}  // namespace nibble::tokenizer
