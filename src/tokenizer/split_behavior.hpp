#pragma once

#include <vector>

#include "tokenizer/json_view.hpp"
#include "tokenizer/pattern.hpp"
#include "tokenizer/split_text.hpp"

namespace nibble::tokenizer {

/// What becomes of the delimiters that a pattern finds.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

SplitBehavior split_behavior(const JsonView& view);

/// Splits every part of `text` at the matches of `pattern`; `invert` takes what lies between the matches as the delimiters.
void split_at(SplitText& text, const Pattern& pattern, SplitBehavior behavior, bool invert = false);

}  // namespace nibble::tokenizer
