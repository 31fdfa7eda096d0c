#pragma once

#include <string>
#include <utility>
#include <vector>

namespace nibble::tokenizer {

/// sentencepiece's character map (see CharacterMap) of strings and their replacements. Keys are not empty and hold no NUL.
std::string write_character_map(std::vector<std::pair<std::string, std::string>> entries);

/// The map of all code points that have a lower case, as the `tokenizers` library's Lowercase has it.
std::string lowercase_map();

/// The character that stands for a byte of a character outside the vocabulary: one of 256 for private use near the
/// end of Unicode.
char32_t fallback_character(unsigned char byte);

/// The map that leaves `known` characters alone and makes fallback characters of the bytes of all others but NUL,
/// which a map cannot have.
std::string byte_fallback_map(const std::vector<char32_t>& known);

}  // namespace nibble::tokenizer
