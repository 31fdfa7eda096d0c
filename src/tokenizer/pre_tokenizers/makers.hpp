#pragma once

#include <memory>

#include "tokenizer/metaspace.hpp"
#include "tokenizer/pattern.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/split_behavior.hpp"

namespace nibble::tokenizer {

using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

/// One way to split at the matches of a pattern.
struct PatternSplit {
  std::shared_ptr<const Pattern> pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;
};

/// The pre-tokenizers, as make_pre_tokenizer and the reader of tokenizer.model build them.
PreTokenizerPtr make_pattern_splits(std::vector<PatternSplit> splits);
PreTokenizerPtr make_byte_level(const JsonView& view);
PreTokenizerPtr make_metaspace(const Metaspace& options);
PreTokenizerPtr make_char_delimiter_split(const JsonView& view);
PreTokenizerPtr make_fixed_length(const JsonView& view);
PreTokenizerPtr make_unicode_scripts();

}  // namespace nibble::tokenizer
