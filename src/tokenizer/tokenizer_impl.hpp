#pragma once

#include <array>
#include <optional>
#include <string>

#include "nibble/tokenizer.hpp"
#include "tokenizer/decode_finish.hpp"
#include "tokenizer/tokenizer_source.hpp"

namespace nibble {

/// Everything a Tokenizer shares between its copies. Immutable and thread-safe.
class Tokenizer::Impl {
 public:
  explicit Impl(const std::filesystem::path& path);

  /// The spelling that goes into the decoders; nullopt for ids that show nothing.
  std::optional<std::string_view> shown_token(int64_t id, bool skip_special_tokens) const;

  tokenizer::TokenizerConfig config;
  tokenizer::Pipeline pipeline;
  tokenizer::DecodeFinish finish;
  size_t vocab_size = 0;

 private:
  explicit Impl(tokenizer::TokenizerSource source);
};

}  // namespace nibble
