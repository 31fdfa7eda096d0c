#pragma once

#include <vector>

#include "nibble/tokenizer.hpp"
#include "tokenizer/post_processor.hpp"

namespace nibble::tokenizer {

/// Cuts one text or two to `max_length` tokens together, as the `tokenizers` library does (its utils/truncation.rs). Throws
/// Error{invalid_argument} where the text that should give way is too short for it, or is not there.
void truncate_parts(std::vector<TokenSequence>& parts, size_t max_length, const Truncation& truncation);

}  // namespace nibble::tokenizer
