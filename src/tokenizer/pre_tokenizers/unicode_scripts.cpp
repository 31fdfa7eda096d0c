#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <optional>

#include "tokenizer/pre_tokenizers/makers.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

constexpr int kUnicode = 9;  // of the table in the `tokenizers` library
// Stands for "may belong to any script", as a space does.
constexpr UScriptCode kAny = USCRIPT_INVALID_CODE;

/// sentencepiece's view of scripts: Japanese syllables count as Han.
UScriptCode script_of(char32_t c) {
  if (c == 0x30FC) return USCRIPT_HAN;
  if (c == ' ' || !is_of_unicode(c, kUnicode)) return kAny;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  if (script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA) return USCRIPT_HAN;
  return script == USCRIPT_UNKNOWN ? kAny : script;
}

/// Splits where the script changes.
class UnicodeScripts : public PreTokenizer {
 public:
  void pre_tokenize(SplitText& text) const override {
    text.split([](std::string_view view, std::vector<Cut>& cuts) {
      size_t begin = 0;
      std::optional<UScriptCode> last;
      for (size_t i = 0; i < view.size();) {
        const CodePoint c = code_point_at(view, i);
        const UScriptCode script = script_of(c.value);
        if (script != kAny && last != script) {
          // What precedes the first character with a script belongs to no piece and is lost, as in the `tokenizers` library.
          if (last) cuts.push_back({begin, i});
          begin = i;
          last = script;
        }
        i += c.size;
      }
      if (last) cuts.push_back({begin, view.size()});
    });
  }
};

}  // namespace

PreTokenizerPtr make_unicode_scripts() { return std::make_unique<UnicodeScripts>(); }

}  // namespace nibble::tokenizer
