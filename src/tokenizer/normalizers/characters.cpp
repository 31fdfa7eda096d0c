#include <optional>

#include "tokenizer/byte_level.hpp"
#include "tokenizer/normalizers/makers.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

class Lowercase : public Normalizer {
 public:
  void normalize(SplitText& text) const override {
    text.rewrite([](std::string_view view, TextRewriter& out) {
      for (size_t i = 0; i < view.size();) {
        const CodePoint c = code_point_at(view, i);
        lower(c, out);
        i += c.size;
      }
    });
  }

 private:
  static void lower(CodePoint c, TextRewriter& out) {
    if (c.value == 0x130) {  // I with a dot becomes two characters
      out.replace('i');
      out.insert(char32_t{0x307});
      return;
    }
    const char32_t lowered = to_lower(c.value);
    lowered == c.value ? out.keep(c.size) : out.replace(lowered);
  }
};

class StripAccents : public Normalizer {
 public:
  void normalize(SplitText& text) const override {
    filter_characters(text, [](char32_t c) { return !is_mark(c); });
  }
};

/// sentencepiece's nmt rules: control characters go, unusual white space becomes a space.
class Nmt : public Normalizer {
 public:
  void normalize(SplitText& text) const override {
    filter_characters(text, [](char32_t c) {
      const bool control = (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
      return !control;
    });
    map_characters(text, [](char32_t c) {
      const bool space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                         c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      return space ? U' ' : c;
    });
  }
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void normalize(SplitText& text) const override {
    text.rewrite([](std::string_view view, TextRewriter& out) {
      for (char byte : view) out.emit(byte_to_character(static_cast<unsigned char>(byte)), is_continuation_byte(byte) ? 1 : 0);
    });
  }
};

}  // namespace

void filter_characters(SplitText& text, bool (*keep)(char32_t)) {
  text.rewrite([keep](std::string_view view, TextRewriter& out) {
    for (size_t i = 0; i < view.size();) {
      const CodePoint c = code_point_at(view, i);
      keep(c.value) ? out.keep(c.size) : out.drop(c.size);
      i += c.size;
    }
  });
}

void map_characters(SplitText& text, char32_t (*map)(char32_t)) {
  text.rewrite([map](std::string_view view, TextRewriter& out) {
    for (size_t i = 0; i < view.size();) {
      const CodePoint c = code_point_at(view, i);
      const char32_t mapped = map(c.value);
      mapped == c.value ? out.keep(c.size) : out.replace(mapped);
      i += c.size;
    }
  });
}

NormalizerPtr make_lowercase() { return std::make_unique<Lowercase>(); }
NormalizerPtr make_strip_accents() { return std::make_unique<StripAccents>(); }
NormalizerPtr make_nmt() { return std::make_unique<Nmt>(); }
NormalizerPtr make_byte_level_normalizer() { return std::make_unique<ByteLevelNormalizer>(); }

}  // namespace nibble::tokenizer
