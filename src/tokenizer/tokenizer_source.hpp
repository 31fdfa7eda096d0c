#pragma once

#include <filesystem>

#include "tokenizer/pipeline.hpp"

namespace nibble::tokenizer {

/// A tokenizer as it was read: its parts, and what its configuration says about it.
struct TokenizerSource {
  TokenizerConfig config;
  Pipeline pipeline;
};

/// Reads the tokenizer of a model directory or a GGUF file, or the file of a tokenizer with what lies beside it. A tokenizer.json or
/// tokenizer.model in a directory comes before what its GGUF file says. Throws Error{not_found} where there is none.
TokenizerSource read_tokenizer(const std::filesystem::path& path);

}  // namespace nibble::tokenizer
