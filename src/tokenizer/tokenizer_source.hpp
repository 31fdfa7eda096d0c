#pragma once

#include <filesystem>

#include "tokenizer/codec.hpp"
#include "tokenizer/tokenizer_config.hpp"

namespace nibble::tokenizer {

/// A tokenizer as it was read, and what its configuration says about it.
struct TokenizerSource {
  TokenizerConfig config;
  std::unique_ptr<const Codec> codec;
};

/// Where a tokenizer is: a file of its own, a GGUF file, or the .xml of a tokenizer IR.
struct TokenizerFile {
  enum class Kind { own, gguf, ir };
  Kind kind = Kind::own;
  std::filesystem::path path;
};

/// What find_tokenizer() finds, or nothing.
std::optional<TokenizerFile> look_for_tokenizer(const std::filesystem::path& path);

/// The tokenizer of a model directory, or of the file at `path`. A tokenizer.json or tokenizer.model in a directory comes before what its
/// GGUF file says, and that before a tokenizer IR. Throws Error{not_found} where there is none.
TokenizerFile find_tokenizer(const std::filesystem::path& path);

/// Reads the file of a tokenizer with what lies beside it, a GGUF file, or a tokenizer IR.
TokenizerSource read_tokenizer(const TokenizerFile& file);

}  // namespace nibble::tokenizer
