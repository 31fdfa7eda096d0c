#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uniset.h>

#include <algorithm>
#include <limits>

#include "base/fail.hpp"
#include "tokenizer/normalizers/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// The characters that the `tokenizers` library's normal forms know, those of Unicode 9; others stay as they are.
const icu::UnicodeSet& known_characters() {
  static const icu::UnicodeSet set = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet result(icu::UnicodeString("[:age=9.0:]"), status);
    if (U_FAILURE(status)) fail(ErrorKind::device, "ICU has no table of ages: {}", u_errorName(status));
    result.freeze();
    return result;
  }();
  return set;
}

const icu::Normalizer2& unfiltered_form(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* instance = form == NormalForm::nfc    ? icu::Normalizer2::getNFCInstance(status)
                                     : form == NormalForm::nfd  ? icu::Normalizer2::getNFDInstance(status)
                                     : form == NormalForm::nfkc ? icu::Normalizer2::getNFKCInstance(status)
                                                                : icu::Normalizer2::getNFKDInstance(status);
  if (U_FAILURE(status)) fail(ErrorKind::device, "ICU has no normalization data: {}", u_errorName(status));
  return *instance;
}

const icu::Normalizer2& icu_form(NormalForm form) {
  static const icu::FilteredNormalizer2 forms[] = {
      {unfiltered_form(NormalForm::nfc), known_characters()},
      {unfiltered_form(NormalForm::nfd), known_characters()},
      {unfiltered_form(NormalForm::nfkc), known_characters()},
      {unfiltered_form(NormalForm::nfkd), known_characters()},
  };
  switch (form) {
    case NormalForm::nfc: return forms[0];
    case NormalForm::nfd: return forms[1];
    case NormalForm::nfkc: return forms[2];
    case NormalForm::nfkd: return forms[3];
  }
  return forms[0];
}

/// A character of the result and its `change` (TextRewriter::emit).
struct Change {
  char32_t character;
  int change;
  uint8_t combining_class;
};

/// Composes a stream of decomposed characters and writes it; a composition drops the characters it swallows.
class Composer {
 public:
  Composer(const icu::Normalizer2& form, TextRewriter& out) : form_(form), out_(out) {}

  void push(const Change& next) {
    if (!has_starter_) {
      if (next.combining_class != 0) return out_.emit(next.character, next.change);
      return start(next);
    }
    const bool blocked = !marks_.empty() && marks_.back().combining_class >= next.combining_class;
    const UChar32 composed = blocked || next.character < 0x300
                                 ? U_SENTINEL
                                 : form_.composePair(static_cast<UChar32>(starter_.character), static_cast<UChar32>(next.character));
    if (composed >= 0) {
      starter_.character = static_cast<char32_t>(composed);
      starter_.change += next.change - 1;
    } else if (next.combining_class == 0) {
      finish();
      start(next);
    } else {
      marks_.push_back(next);
    }
  }

  void finish() {
    if (has_starter_) out_.emit(starter_.character, starter_.change);
    for (const Change& mark : marks_) out_.emit(mark.character, mark.change);
    marks_.clear();
    has_starter_ = false;
  }

 private:
  void start(const Change& next) {
    starter_ = next;
    has_starter_ = true;
  }

  const icu::Normalizer2& form_;
  TextRewriter& out_;
  Change starter_{};
  bool has_starter_ = false;
  std::vector<Change> marks_;
};

/// Decomposes characters and puts runs of combining marks in canonical order (Unicode Standard, 3.11).
template <class Sink>
class Decomposer {
 public:
  Decomposer(const icu::Normalizer2& form, Sink sink) : form_(form), sink_(std::move(sink)) {}

  void push(char32_t c) {
    if (c < 0xA0 || !form_.getDecomposition(static_cast<UChar32>(c), buffer_)) return add(c, 0);
    for (int32_t i = 0; i < buffer_.length();) {
      const UChar32 part = buffer_.char32At(i);
      add(static_cast<char32_t>(part), i == 0 ? 0 : 1);
      i += U16_LENGTH(part);
    }
  }

  void finish() {
    std::stable_sort(pending_.begin(), pending_.end(),
                     [](const Change& a, const Change& b) { return a.combining_class < b.combining_class; });
    for (const Change& change : pending_) sink_(change);
    pending_.clear();
  }

 private:
  void add(char32_t c, int change) {
    const uint8_t combining_class = c < 0x300 ? uint8_t{0} : form_.getCombiningClass(static_cast<UChar32>(c));
    if (combining_class == 0) finish();
    pending_.push_back({c, change, combining_class});
  }

  const icu::Normalizer2& form_;
  Sink sink_;
  icu::UnicodeString buffer_;
  std::vector<Change> pending_;
};

template <class Sink>
void decompose(const icu::Normalizer2& form, std::string_view text, Sink sink) {
  Decomposer<Sink> decomposer(form, std::move(sink));
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    decomposer.push(c.value);
    i += c.size;
  }
  decomposer.finish();
}

class NormalFormNormalizer : public Normalizer {
 public:
  explicit NormalFormNormalizer(NormalForm form)
      : composes_(form == NormalForm::nfc || form == NormalForm::nfkc),
        form_(icu_form(form)),
        decomposing_(icu_form(form == NormalForm::nfc || form == NormalForm::nfd ? NormalForm::nfd : NormalForm::nfkd)) {}

  void normalize(SplitText& text) const override {
    text.rewrite([this](std::string_view view, TextRewriter& out) {
      if (is_normal(view)) return out.keep_rest();
      if (!composes_) return decompose(decomposing_, view, [&](const Change& change) { out.emit(change.character, change.change); });
      Composer composer(form_, out);
      decompose(decomposing_, view, [&](const Change& change) { composer.push(change); });
      composer.finish();
    });
  }

 private:
  /// By a check that looks at each character once: ICU sorts runs of marks in quadratic time where it has to know for certain.
  bool is_normal(std::string_view text) const {
    if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; })) return true;
    UErrorCode status = U_ZERO_ERROR;
    const auto wide = icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
    return form_.quickCheck(wide, status) == UNORM_YES && U_SUCCESS(status);
  }

  bool composes_;
  const icu::Normalizer2& form_;
  const icu::Normalizer2& decomposing_;
};

}  // namespace

NormalizerPtr make_normal_form(NormalForm form) { return std::make_unique<NormalFormNormalizer>(form); }

}  // namespace nibble::tokenizer
