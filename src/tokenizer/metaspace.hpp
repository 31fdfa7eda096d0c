#pragma once

#include <string_view>

#include "tokenizer/json_view.hpp"

namespace nibble::tokenizer {

inline constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // U+2581, sentencepiece's visible space

/// How sentencepiece vocabularies write spaces: `replacement` stands for a space, and may be put before a text's beginning.
struct Metaspace {
  enum class Prepend { always, first, never };
  char32_t replacement = 0x2581;
  Prepend prepend = Prepend::always;
  bool split = true;
};

Metaspace read_metaspace(const JsonView& view);

}  // namespace nibble::tokenizer
