#include "tokenizer/metaspace.hpp"

#include <algorithm>

#include "tokenizer/pre_tokenizers/makers.hpp"

namespace nibble::tokenizer {
namespace {

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(const Metaspace& options)
      : options_(options), replacement_(to_utf8(options.replacement)), pattern_(replacement_) {}

  void pre_tokenize(SplitText& text) const override {
    auto split = text.splits().begin();
    text.rewrite([&](std::string_view view, TextRewriter& out) {
      while (split->token >= 0) ++split;
      write(view, split->origin == 0, out);
      ++split;
    });
    if (options_.split) split_at(text, pattern_, SplitBehavior::merged_with_next);
  }

  bool needs_origin() const override { return options_.prepend == Metaspace::Prepend::first; }

 private:
  void write(std::string_view view, bool at_origin, TextRewriter& out) const {
    const bool wanted = options_.prepend == Metaspace::Prepend::always || (options_.prepend == Metaspace::Prepend::first && at_origin);
    if (wanted && !view.empty() && view.front() != ' ' && !view.starts_with(replacement_)) out.prepend(replacement_);
    for (size_t i = 0; i < view.size();) {
      const size_t space = std::min(view.find(' ', i), view.size());
      out.keep(space - i);
      if (space < view.size()) out.replace(options_.replacement);
      i = space + 1;
    }
  }

  Metaspace options_;
  std::string replacement_;
  LiteralPattern pattern_;
};

}  // namespace

PreTokenizerPtr make_metaspace(const Metaspace& options) { return std::make_unique<MetaspacePreTokenizer>(options); }

}  // namespace nibble::tokenizer
