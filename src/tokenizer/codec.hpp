#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "nibble/tokenizer.hpp"

namespace nibble::tokenizer {

/// The text of a sequence, token by token; see StreamingDetokenizer.
class DecodeStream {
 public:
  virtual ~DecodeStream() = default;
  virtual std::string put(int64_t id) = 0;
  /// Ends the sequence; the next put() begins another.
  virtual std::string flush() = 0;
};

/// What does a Tokenizer's work: a pipeline of Nibble's own parts, or the graphs of a tokenizer IR. Immutable and thread-safe.
class Codec {
 public:
  virtual ~Codec() = default;

  /// Texts are valid UTF-8; type ids may be left out where all are 0.
  virtual Encoding encode(std::string text, const EncodeOptions& options) const = 0;
  virtual Encoding encode_pair(std::string first, std::string second, const EncodeOptions& options) const = 0;
  virtual std::string decode(std::span<const int64_t> ids, bool skip_special_tokens) const = 0;
  /// The same with a clean-up of spaces that is not the tokenizer's own.
  virtual std::string decode(std::span<const int64_t> ids, bool skip_special_tokens, bool clean_up_spaces) const = 0;
  /// The stream must not outlive the codec.
  virtual std::unique_ptr<DecodeStream> stream(bool skip_special_tokens) const = 0;

  /// The token of `id`; nullopt outside the vocabulary.
  virtual std::optional<std::string_view> token(int64_t id) const = 0;
  virtual std::optional<int64_t> id(std::string_view token) const = 0;
  virtual size_t vocab_size() const = 0;
  virtual bool is_special(int64_t id) const = 0;
};

}  // namespace nibble::tokenizer
