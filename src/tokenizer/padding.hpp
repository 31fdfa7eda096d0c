#pragma once

#include "nibble/tokenizer.hpp"

namespace nibble::tokenizer {

/// Rows of one length; see Tokenizer::pad. Padding has type id 0.
TokenBatch pad_encodings(std::span<const Encoding> encodings, const Padding& padding, Side side, int64_t pad_id);

}  // namespace nibble::tokenizer
