#include "tokenizer/normalizer.hpp"

#include <map>

#include "tokenizer/normalizers/makers.hpp"

namespace nibble::tokenizer {
namespace {

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<NormalizerPtr> steps) : steps_(std::move(steps)) {}
  void normalize(SplitText& text) const override {
    for (const NormalizerPtr& step : steps_) step->normalize(text);
  }

 private:
  std::vector<NormalizerPtr> steps_;
};

NormalizerPtr make_sequence(const JsonView& view) {
  std::vector<NormalizerPtr> steps;
  for (const JsonView& step : view.at("normalizers").elements()) steps.push_back(make_normalizer(step));
  return make_normalizer_sequence(std::move(steps));
}

using Maker = NormalizerPtr (*)(const JsonView&);

const std::map<std::string_view, Maker>& makers() {
  static const std::map<std::string_view, Maker> table{
      {"BertNormalizer", make_bert_normalizer},
      {"ByteLevel", [](const JsonView&) { return make_byte_level_normalizer(); }},
      {"Lowercase", [](const JsonView&) { return make_lowercase(); }},
      {"NFC", [](const JsonView&) { return make_normal_form(NormalForm::nfc); }},
      {"NFD", [](const JsonView&) { return make_normal_form(NormalForm::nfd); }},
      {"NFKC", [](const JsonView&) { return make_normal_form(NormalForm::nfkc); }},
      {"NFKD", [](const JsonView&) { return make_normal_form(NormalForm::nfkd); }},
      {"Nmt", [](const JsonView&) { return make_nmt(); }},
      {"Precompiled", [](const JsonView& view) { return make_precompiled(view); }},
      {"Prepend", [](const JsonView& view) { return make_prepend(view.at("prepend").string()); }},
      {"Replace", [](const JsonView& view) { return make_replace(view); }},
      {"Sequence", make_sequence},
      {"Strip", [](const JsonView& view) { return make_strip(view.at("strip_left").boolean(), view.at("strip_right").boolean()); }},
      {"StripAccents", [](const JsonView&) { return make_strip_accents(); }},
  };
  return table;
}

}  // namespace

NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> steps) { return std::make_unique<NormalizerSequence>(std::move(steps)); }

std::unique_ptr<const Normalizer> make_normalizer(const JsonView& view) {
  const std::string type = view.at("type").string();
  const auto maker = makers().find(type);
  if (maker == makers().end()) view.refuse("is a normalizer of the unknown type \"" + type + "\"");
  return maker->second(view);
}

std::string normalize_text(const Normalizer* normalizer, std::string_view text) {
  SplitText work(std::string(text), false);
  if (normalizer != nullptr) normalizer->normalize(work);
  return std::string(work.view(work.splits().front()));
}

}  // namespace nibble::tokenizer
