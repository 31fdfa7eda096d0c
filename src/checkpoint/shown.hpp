#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// Text from a file as error messages show it: in single quotes, control characters replaced, long text cut.
std::string shown(std::string_view text);

}  // namespace nibble
