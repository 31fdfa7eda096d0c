#include "tokenizer/byte_level.hpp"

#include <optional>

#include "tokenizer/pre_tokenizers/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// Splits as GPT-2 does and spells every byte as a printable character.
class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex) : add_prefix_space_(add_prefix_space) {
    if (use_regex) pattern_.emplace(kGpt2Pattern);
  }

  void pre_tokenize(SplitText& text) const override {
    if (add_prefix_space_) {
      text.rewrite([](std::string_view view, TextRewriter& out) {
        if (!view.empty() && view.front() != ' ') out.prepend(" ");
        out.keep_rest();
      });
    }
    if (pattern_) split_at(text, *pattern_, SplitBehavior::isolated);
    text.rewrite([](std::string_view view, TextRewriter& out) { spell_bytes(view, out); });
  }

 private:
  static void spell_bytes(std::string_view view, TextRewriter& out) {
    for (size_t i = 0; i < view.size();) {
      size_t end = i;
      while (end < view.size() && view[end] >= '!' && view[end] <= '~') ++end;
      out.keep(end - i);
      if (end < view.size()) out.emit(byte_to_character(static_cast<unsigned char>(view[end])), is_continuation_byte(view[end]) ? 1 : 0);
      i = end + 1;
    }
  }

  bool add_prefix_space_;
  std::optional<RegexPattern> pattern_;
};

}  // namespace

PreTokenizerPtr make_byte_level(const JsonView& view) {
  return std::make_unique<ByteLevel>(view.boolean_or("add_prefix_space", true), view.boolean_or("use_regex", true));
}

}  // namespace nibble::tokenizer
