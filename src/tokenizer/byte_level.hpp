#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nibble::tokenizer {

/// GPT-2's printable stand-in for a byte: itself where it is a printable Latin-1 character, else U+0100 + n for the n-th other
/// byte (openai/gpt-2, encoder.py, bytes_to_unicode).
char32_t byte_to_character(unsigned char byte);

/// The byte that `c` stands for, if it does.
std::optional<unsigned char> character_to_byte(char32_t c);

/// The bytes a byte-level token stands for; a token with any other character stands for its own UTF-8.
void append_token_bytes(std::string& bytes, std::string_view token);

/// The pattern that GPT-2 splits its text with.
inline constexpr std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The spelling "<0xNN>" of a byte in sentencepiece vocabularies.
std::string byte_token(unsigned char byte);
/// The byte of such a spelling, as the `tokenizers` library reads it.
std::optional<unsigned char> parse_byte_token(std::string_view token);

}  // namespace nibble::tokenizer
