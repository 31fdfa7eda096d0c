#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace nibble {

/// What tokenizer.ggml.pre says: how text is cut before pairs are merged, and what else goes with it.
struct GgufPreTokenizer {
  nlohmann::json pre_tokenizer;  ///< as tokenizer.json has it
  bool is_composed = false;      ///< text is in normal form C
  bool ignores_merges = false;   ///< a piece that is a token needs no merges
  bool adds_bos = false;         ///< where the metadata does not say
  bool cleans_up = false;        ///< decoding takes spaces before punctuation away
};

/// Throws Error{unsupported} for a name that is not known. `where` names the file.
GgufPreTokenizer find_gguf_pre_tokenizer(std::string_view name, std::string_view where);

}  // namespace nibble
