#include <algorithm>
#include <limits>

#include "tokenizer/pre_tokenizers/makers.hpp"

namespace nibble::tokenizer {
namespace {

class PatternSplits : public PreTokenizer {
 public:
  explicit PatternSplits(std::vector<PatternSplit> splits) : splits_(std::move(splits)) {}
  void pre_tokenize(SplitText& text) const override {
    for (const PatternSplit& split : splits_) split_at(text, *split.pattern, split.behavior, split.invert);
  }

 private:
  std::vector<PatternSplit> splits_;
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(size_t length) : length_(length) {}
  void pre_tokenize(SplitText& text) const override {
    text.split([this](std::string_view view, std::vector<Cut>& cuts) {
      for (size_t begin = 0; begin < view.size();) {
        size_t end = begin;
        for (size_t i = 0; i < length_ && end < view.size(); ++i) end += code_point_at(view, end).size;
        cuts.push_back({begin, end});
        begin = end;
      }
    });
  }

 private:
  size_t length_;
};

}  // namespace

PreTokenizerPtr make_pattern_splits(std::vector<PatternSplit> splits) { return std::make_unique<PatternSplits>(std::move(splits)); }

PreTokenizerPtr make_char_delimiter_split(const JsonView& view) {
  std::string delimiter = to_utf8(view.at("delimiter").character());
  return make_pattern_splits({{std::make_shared<LiteralPattern>(std::move(delimiter)), SplitBehavior::removed, false}});
}

PreTokenizerPtr make_fixed_length(const JsonView& view) {
  const auto length = view.find("length");
  const uint64_t characters = length ? length->integer(std::numeric_limits<uint32_t>::max()) : 5;
  if (characters == 0) view.reject("has a length of 0");
  return std::make_unique<FixedLength>(static_cast<size_t>(characters));
}

}  // namespace nibble::tokenizer
