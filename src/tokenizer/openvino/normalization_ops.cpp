#include <algorithm>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/normalizers/makers.hpp"
#include "tokenizer/openvino/sentencepiece_normalizer.hpp"
#include "tokenizer/openvino/string_op.hpp"
#include "tokenizer/openvino/string_tensors.hpp"

namespace nibble::tokenizer {
namespace {

std::string lower_ascii(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

class CharacterMapNormalization : public StringMap {
 public:
  CharacterMapNormalization(SentencepieceNormalizer normalizer, bool has_marks)
      : StringMap(has_marks), normalizer_(std::move(normalizer)) {}

 protected:
  std::string map(std::string_view text) const override { return normalizer_.normalize(text); }

 private:
  SentencepieceNormalizer normalizer_;
};

/// Of older files: a normal form as Unicode defines it.
class NormalizeUnicode : public StringMap {
 public:
  NormalizeUnicode(NormalForm form, bool has_marks) : StringMap(has_marks), normalizer_(make_normal_form(form)) {}

 protected:
  std::string map(std::string_view text) const override {
    return normalize_text(normalizer_.get(), is_utf8(text) ? std::string(text) : sanitize_utf8(text));
  }

 private:
  NormalizerPtr normalizer_;
};

/// Of older files: lower case.
class CaseFold : public StringMap {
 public:
  CaseFold(bool ascii_only, bool has_marks) : StringMap(has_marks), ascii_only_(ascii_only), normalizer_(make_lowercase()) {}

 protected:
  std::string map(std::string_view text) const override {
    if (ascii_only_) return lower_ascii(std::string(text));
    return normalize_text(normalizer_.get(), is_utf8(text) ? std::string(text) : sanitize_utf8(text));
  }

 private:
  bool ascii_only_;
  NormalizerPtr normalizer_;
};

NormalForm form_of(const std::string& name) {
  const std::string lower = lower_ascii(name);
  if (lower == "nfc") return NormalForm::nfc;
  if (lower == "nfd") return NormalForm::nfd;
  if (lower == "nfkc") return NormalForm::nfkc;
  if (lower == "nfkd") return NormalForm::nfkd;
  fail(ErrorKind::unsupported, "the normalization form \"{}\" is not known", name);
}

}  // namespace

StringOpPtr make_character_map_normalization(const StringOpContext& context) {
  const Attributes& attributes = context.node.attributes();
  const std::string form = lower_ascii(attributes.get_string("normalization_form"));
  const size_t count = context.node.input_count();
  const bool has_marks = count == 5 || (count == 4 && !form.empty());
  std::unique_ptr<const CharacterRules> rules;
  if (!form.empty()) {
    rules = make_form_rules(form, attributes.get_bool("case_fold", false));
  } else if (const std::string_view map = bytes_of(context.constant(has_marks ? 4 : 3)); !map.empty()) {
    rules = make_map_rules(map, "character map");
  }
  const SentencepieceNormalizer::Options options{attributes.get_bool("add_dummy_prefix", false),
                                                 attributes.get_bool("remove_extra_whitespaces", true),
                                                 attributes.get_bool("escape_whitespaces", false)};
  return std::make_unique<CharacterMapNormalization>(SentencepieceNormalizer(std::move(rules), options, nullptr), has_marks);
}

StringOpPtr make_normalize_unicode(const StringOpContext& context) {
  return std::make_unique<NormalizeUnicode>(form_of(context.node.attributes().get_string("normalization_form", "NFD")),
                                            context.node.input_count() == 4);
}

StringOpPtr make_case_fold(const StringOpContext& context) {
  return std::make_unique<CaseFold>(context.node.attributes().get_string("encoding").empty(), context.node.input_count() == 4);
}

}  // namespace nibble::tokenizer
