#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tokenizer/openvino/steps.hpp"

namespace nibble::tokenizer {

/// A BPE model as the BPETokenizer operation takes it. The operation begins with the longest tokens that no merge makes, wherever they
/// stand in a piece; so tokens that the model itself can never make of characters are left out.
struct BpeTables {
  std::vector<std::string> tokens;  ///< by id; "" where an id has none that can occur
  std::vector<std::pair<std::string, std::string>> merges;
  /// Strings that stand for an id besides `tokens`, but only where none of these has the same spelling.
  std::vector<std::pair<std::string, uint32_t>> added;
  /// With "ignore_merges": texts that are a token where they are a whole piece, although merges would give others; `added` has them behind
  /// kWholePieceMark.
  std::vector<std::string> whole_pieces;
};

BpeTables bpe_tables(const TokenizerView& tokenizer, Spelling spelling);

/// What is put before a whole piece that is a token, to tell it from the same text within a piece: the last code point, a noncharacter.
inline constexpr std::string_view kWholePieceMark = "\xF4\x8F\xBF\xBF";

}  // namespace nibble::tokenizer
