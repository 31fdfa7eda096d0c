#pragma once

#include <memory>

#include "tokenizer/json_view.hpp"
#include "tokenizer/split_text.hpp"

namespace nibble::tokenizer {

/// Splits a normalized text into the pieces that the model sees one at a time. Immutable and thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void pre_tokenize(SplitText& text) const = 0;
  /// True when the result depends on where a piece began in the original text, so that the text must track it.
  virtual bool needs_origin() const { return false; }
};

/// The pre-tokenizer of a tokenizer.json object; throws Error{unsupported} for a type Nibble does not know.
std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const JsonView& view);

}  // namespace nibble::tokenizer
