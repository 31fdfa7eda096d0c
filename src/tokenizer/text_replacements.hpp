#pragma once

#include <string>
#include <string_view>

namespace nibble::tokenizer {

/// `text` with every `from` (not empty) replaced by `to`, left to right.
std::string replace_literal(std::string text, std::string_view from, std::string_view to);

/// The English clean-up of transformers' clean_up_tokenization: no space before . ? ! , and before n't 'm 's 've 're.
std::string clean_up_spaces(std::string text);

/// The like of the `tokenizers` library's WordPiece and CTC decoders, which also turns " do not" into " don't".
std::string clean_up_word_pieces(std::string text);

}  // namespace nibble::tokenizer
