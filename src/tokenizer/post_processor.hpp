#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/json_view.hpp"

namespace nibble::tokenizer {

/// The tokens of one text, or of a run of special tokens between texts. `offsets` (code points) and `texts` (what each token was
/// matched as) are empty unless offsets are wanted.
struct TokenSequence {
  std::vector<int64_t> ids;
  std::vector<std::pair<size_t, size_t>> offsets;
  std::vector<std::string> texts;
  std::vector<uint32_t> type_ids;
};

/// Puts special tokens around one or two texts, trims offsets. Immutable and thread-safe.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  /// Takes what the steps before made of one text or two, and returns the parts in their final order.
  virtual std::vector<TokenSequence> process(std::vector<TokenSequence> parts, bool add_special_tokens) const = 0;
};

/// The post-processor of a tokenizer.json object; throws Error{unsupported} for a type Nibble does not know.
std::unique_ptr<const PostProcessor> make_post_processor(const JsonView& view);

/// Puts the given ids before and after a text, and likewise around the second of two.
std::unique_ptr<const PostProcessor> make_surrounding_processor(std::vector<int64_t> before, std::vector<int64_t> after);

}  // namespace nibble::tokenizer
