#include <algorithm>

#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/post_processors/makers.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

bool is_space(char32_t c) { return c == byte_to_character(' ') || is_whitespace(c); }

size_t leading_spaces(std::string_view token) {
  size_t count = 0;
  for (size_t i = 0; i < token.size() && is_space(code_point_at(token, i).value); i += code_point_at(token, i).size) ++count;
  return count;
}

size_t trailing_spaces(std::string_view token) {
  size_t count = 0;
  for (size_t i = token.size(); i > 0 && is_space(code_point_before(token, i).value); i -= code_point_before(token, i).size) ++count;
  return count;
}

class ByteLevelProcessor : public PostProcessor {
 public:
  ByteLevelProcessor(bool trims, bool prefixed) : trims_(trims), prefixed_(prefixed) {}
  std::vector<TokenSequence> process(std::vector<TokenSequence> parts, bool) const override {
    if (trims_) {
      for (TokenSequence& part : parts) trim_offsets(part, prefixed_);
    }
    return parts;
  }

 private:
  bool trims_, prefixed_;
};

}  // namespace

void trim_offsets(TokenSequence& part, bool prefixed) {
  for (size_t i = 0; i < part.offsets.size(); ++i) {
    auto& [begin, end] = part.offsets[i];
    size_t leading = leading_spaces(part.texts[i]);
    const size_t trailing = trailing_spaces(part.texts[i]);
    const bool first = i == 0 || begin == 0;
    if (first && prefixed && leading == 1) leading = 0;
    if (leading > 0) begin = std::min(begin + leading, end);
    if (trailing > 0 && end >= trailing) end = std::max(end - trailing, begin);
  }
}

PostProcessorPtr make_byte_level_processor(const JsonView& view) {
  return std::make_unique<ByteLevelProcessor>(view.boolean_or("trim_offsets", true), view.boolean_or("add_prefix_space", true));
}

}  // namespace nibble::tokenizer
