#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// RFC 4648, section 4: one line, padded with '='. Thread-safe.
std::string encode_base64(std::string_view bytes);

/// The bytes of such a text, which may lack the padding. Throws Error{corrupt} naming `place` for other characters. Thread-safe.
std::string decode_base64(std::string_view text, const std::string& place);

}  // namespace nibble
