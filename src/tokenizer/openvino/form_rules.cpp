#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <tuple>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/openvino/sentencepiece_normalizer.hpp"

namespace nibble::tokenizer {
namespace {

const icu::Normalizer2& icu_normalizer(bool compatible, bool composed) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer =
      compatible ? (composed ? icu::Normalizer2::getNFKCInstance(status) : icu::Normalizer2::getNFKDInstance(status))
                 : (composed ? icu::Normalizer2::getNFCInstance(status) : icu::Normalizer2::getNFDInstance(status));
  if (U_FAILURE(status)) fail(ErrorKind::device, "ICU has no normalization data: {}", u_errorName(status));
  return *normalizer;
}

std::string to_text(const icu::UnicodeString& characters, bool fold_case) {
  std::string text;
  for (int32_t i = 0; i < characters.length();) {
    const UChar32 c = characters.char32At(i);
    append_utf8(text, static_cast<char32_t>(fold_case ? u_foldCase(c, U_FOLD_CASE_DEFAULT) : c));
    i += U16_LENGTH(c);
  }
  return text;
}

/// Single characters by their normal form, and sequences that are the whole decomposition of one character. The extension has them in
/// tables that it searches for the longest entry.
class FormRules : public CharacterRules {
 public:
  FormRules(bool compatible, bool composed, bool fold_case)
      : decomposed_(icu_normalizer(compatible, false)),
        normalized_(icu_normalizer(compatible, composed)),
        canonical_(icu_normalizer(false, true)),
        composed_(composed),
        fold_case_(fold_case) {}

  std::optional<CharacterStep> apply(std::string_view text) const override {
    if (scan_utf8(text).kind != Utf8Kind::complete) return std::nullopt;
    const CodePoint first = code_point_at(text, 0);
    const bool stands_alone = text.size() == first.size || static_cast<unsigned char>(text[first.size]) < 0x80;
    if (first.value < 0x80 && stands_alone && !fold_case_) return std::nullopt;
    if (composed_)
      if (auto step = sequence(text)) return step;
    const std::string normal = to_text(normalize(first.value), fold_case_);
    if (normal == text.substr(0, first.size)) return std::nullopt;
    return CharacterStep{first.size, normal};
  }

 private:
  static constexpr int32_t kLongestDecomposition = 18;  // of Unicode

  icu::UnicodeString normalize(char32_t c) const {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeString result = normalized_.normalize(icu::UnicodeString(static_cast<UChar32>(c)), status);
    if (U_FAILURE(status)) fail(ErrorKind::device, "ICU cannot normalize: {}", u_errorName(status));
    return result;
  }

  std::optional<CharacterStep> sequence(std::string_view text) const {
    std::optional<CharacterStep> longest;
    icu::UnicodeString parts, decomposition;
    for (size_t i = 0; i < text.size() && parts.length() < kLongestDecomposition;) {
      if (scan_utf8(text.substr(i)).kind != Utf8Kind::complete) break;
      const CodePoint c = code_point_at(text, i);
      i += c.size;
      auto part = static_cast<UChar32>(c.value);
      if (decomposed_.getDecomposition(part, decomposition)) {
        if (decomposition.countChar32() != 1) break;
        part = decomposition.char32At(0);
      }
      parts.append(part);
      if (parts.countChar32() < 2) continue;
      if (c.value < 0x80) break;
      if (const auto whole = compose(parts)) longest = CharacterStep{i, to_text(icu::UnicodeString(*whole), fold_case_)};
    }
    return longest;
  }

  /// The character whose decomposition is exactly `parts`.
  std::optional<UChar32> compose(const icu::UnicodeString& parts) const {
    UErrorCode status = U_ZERO_ERROR;
    const icu::UnicodeString whole = canonical_.normalize(parts, status);
    icu::UnicodeString decomposition;
    if (U_FAILURE(status) || whole.countChar32() != 1) return std::nullopt;
    if (!decomposed_.getDecomposition(whole.char32At(0), decomposition) || decomposition != parts) return std::nullopt;
    return whole.char32At(0);
  }

  const icu::Normalizer2 &decomposed_, &normalized_, &canonical_;
  bool composed_, fold_case_;
};

class CaseRules : public CharacterRules {
 public:
  std::optional<CharacterStep> apply(std::string_view text) const override {
    if (scan_utf8(text).kind != Utf8Kind::complete) return std::nullopt;
    const CodePoint c = code_point_at(text, 0);
    const UChar32 folded = u_foldCase(static_cast<UChar32>(c.value), U_FOLD_CASE_DEFAULT);
    if (folded == static_cast<UChar32>(c.value)) return std::nullopt;
    return CharacterStep{c.size, to_utf8(static_cast<char32_t>(folded))};
  }
};

}  // namespace

std::unique_ptr<const CharacterRules> make_form_rules(const std::string& form, bool fold_case) {
  if (form == "identity") return fold_case ? std::make_unique<CaseRules>() : nullptr;
  for (const auto& [name, compatible, composed] :
       {std::tuple("nfc", false, true), std::tuple("nfd", false, false), std::tuple("nfkc", true, true), std::tuple("nfkd", true, false)})
    if (form == name) return std::make_unique<FormRules>(compatible, composed, fold_case);
  fail(ErrorKind::unsupported, "the normalization form \"{}\" is not known", form);
}

}  // namespace nibble::tokenizer
