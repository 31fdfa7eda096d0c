#include "tokenizer/normalizers/makers.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

/// BERT's cleaning: control characters away, one kind of space, spaces around Chinese characters, accents and case away.
class BertNormalizer : public Normalizer {
 public:
  struct Options {
    bool clean_text, handle_chinese_chars, strip_accents, lowercase;
  };
  explicit BertNormalizer(Options options)
      : options_(options), decompose_(make_normal_form(NormalForm::nfd)), lowercase_(make_lowercase()) {}

  void normalize(SplitText& text) const override {
    if (options_.clean_text) clean(text);
    if (options_.handle_chinese_chars) space_ideographs(text);
    if (options_.strip_accents) {
      decompose_->normalize(text);
      filter_characters(text, [](char32_t c) { return !is_nonspacing_mark(c); });
    }
    if (options_.lowercase) lowercase_->normalize(text);
  }

 private:
  static bool is_bert_space(char32_t c) { return c == '\t' || c == '\n' || c == '\r' || is_whitespace(c); }

  static void clean(SplitText& text) {
    filter_characters(text, [](char32_t c) {
      if (c == '\t' || c == '\n' || c == '\r') return true;
      return c != 0 && c != 0xFFFD && !is_other(c);
    });
    map_characters(text, [](char32_t c) { return is_bert_space(c) ? U' ' : c; });
  }

  static void space_ideographs(SplitText& text) {
    text.rewrite([](std::string_view view, TextRewriter& out) {
      for (size_t i = 0; i < view.size();) {
        const CodePoint c = code_point_at(view, i);
        if (is_cjk_ideograph(c.value)) {
          out.replace(' ');
          out.insert(c.value);
          out.insert(char32_t{' '});
        } else {
          out.keep(c.size);
        }
        i += c.size;
      }
    });
  }

  Options options_;
  NormalizerPtr decompose_, lowercase_;
};

}  // namespace

NormalizerPtr make_bert_normalizer(const JsonView& view) {
  const bool lowercase = view.boolean_or("lowercase", true);
  return std::make_unique<BertNormalizer>(BertNormalizer::Options{view.boolean_or("clean_text", true),
                                                                  view.boolean_or("handle_chinese_chars", true),
                                                                  view.boolean_or("strip_accents", lowercase), lowercase});
}

}  // namespace nibble::tokenizer
