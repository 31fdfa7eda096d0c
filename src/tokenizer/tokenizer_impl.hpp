#pragma once

#include "nibble/tokenizer.hpp"
#include "tokenizer/tokenizer_source.hpp"

namespace nibble {

/// Everything a Tokenizer shares between its copies. Immutable and thread-safe.
class Tokenizer::Impl {
 public:
  explicit Impl(const std::filesystem::path& path);

  tokenizer::TokenizerConfig config;
  std::unique_ptr<const tokenizer::Codec> codec;

 private:
  explicit Impl(tokenizer::TokenizerSource source);
};

}  // namespace nibble
