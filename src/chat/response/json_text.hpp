#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// Appends a byte of UTF-8 as it stands inside a JSON string.
void append_json_byte(char c, std::string& out);
/// Appends `text` as a JSON string with its quotes.
void append_json_text(std::string_view text, std::string& out);
/// The text that a JSON string stands for. `json` is valid.
std::string text_of_json(std::string_view json);

/// White space of JSON.
inline bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
std::string_view trimmed(std::string_view text);

}  // namespace nibble
