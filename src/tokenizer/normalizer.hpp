#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/json_view.hpp"
#include "tokenizer/split_text.hpp"

namespace nibble::tokenizer {

/// Rewrites a text before it is split. Immutable and thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Rewrites each split that is no added token on its own.
  virtual void normalize(SplitText& text) const = 0;
};

/// The normalizer of a tokenizer.json object; throws Error{unsupported} for a type Nibble does not know.
std::unique_ptr<const Normalizer> make_normalizer(const JsonView& view);

/// `text` through `normalizer`, which may be null.
std::string normalize_text(const Normalizer* normalizer, std::string_view text);

}  // namespace nibble::tokenizer
