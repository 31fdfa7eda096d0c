#include "tokenizer/pre_tokenizer.hpp"

#include <algorithm>
#include <map>

#include "tokenizer/pre_tokenizers/makers.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

class PreTokenizerSequence : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(std::vector<PreTokenizerPtr> steps) : steps_(std::move(steps)) {}
  void pre_tokenize(SplitText& text) const override {
    for (const PreTokenizerPtr& step : steps_) step->pre_tokenize(text);
  }
  bool needs_origin() const override {
    return std::any_of(steps_.begin(), steps_.end(), [](const PreTokenizerPtr& step) { return step->needs_origin(); });
  }

 private:
  std::vector<PreTokenizerPtr> steps_;
};

PreTokenizerPtr make_sequence(const JsonView& view) {
  std::vector<PreTokenizerPtr> steps;
  for (const JsonView& step : view.at("pretokenizers").elements()) steps.push_back(make_pre_tokenizer(step));
  return std::make_unique<PreTokenizerSequence>(std::move(steps));
}

PatternSplit at_characters(bool (*accepts)(char32_t), SplitBehavior behavior) {
  return {std::make_shared<CharacterPattern>(accepts), behavior, false};
}

PreTokenizerPtr make_split(const JsonView& view) {
  return make_pattern_splits({{make_pattern(view.at("pattern")), split_behavior(view.at("behavior")), view.boolean_or("invert", false)}});
}

PreTokenizerPtr make_digits(const JsonView& view) {
  const bool individual = view.boolean_or("individual_digits", false);
  return make_pattern_splits({at_characters(is_numeric, individual ? SplitBehavior::isolated : SplitBehavior::contiguous)});
}

PreTokenizerPtr make_punctuation(const JsonView& view) {
  const auto behavior = view.find("behavior");
  return make_pattern_splits({at_characters(is_punctuation, behavior ? split_behavior(*behavior) : SplitBehavior::isolated)});
}

PreTokenizerPtr make_bert(const JsonView&) {
  return make_pattern_splits(
      {at_characters(is_whitespace, SplitBehavior::removed), at_characters(is_punctuation, SplitBehavior::isolated)});
}

PreTokenizerPtr make_whitespace(const JsonView&) {
  return make_pattern_splits({{std::make_shared<WordPattern>(), SplitBehavior::removed, true}});
}

PreTokenizerPtr make_whitespace_split(const JsonView&) {
  return make_pattern_splits({at_characters(is_whitespace, SplitBehavior::removed)});
}

using Maker = PreTokenizerPtr (*)(const JsonView&);

const std::map<std::string_view, Maker>& makers() {
  static const std::map<std::string_view, Maker> table{
      {"BertPreTokenizer", make_bert},
      {"ByteLevel", make_byte_level},
      {"CharDelimiterSplit", make_char_delimiter_split},
      {"Digits", make_digits},
      {"FixedLength", make_fixed_length},
      {"Metaspace", [](const JsonView& view) { return make_metaspace(read_metaspace(view)); }},
      {"Punctuation", make_punctuation},
      {"Sequence", make_sequence},
      {"Split", make_split},
      {"UnicodeScripts", [](const JsonView&) { return make_unicode_scripts(); }},
      {"Whitespace", make_whitespace},
      {"WhitespaceSplit", make_whitespace_split},
  };
  return table;
}

}  // namespace

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const JsonView& view) {
  const std::string type = view.at("type").string();
  const auto maker = makers().find(type);
  if (maker == makers().end()) view.refuse("is a pre-tokenizer of the unknown type \"" + type + "\"");
  return maker->second(view);
}

}  // namespace nibble::tokenizer
