#pragma once

#include <string>
#include <string_view>

namespace nibble::tokenizer {

/// Rewrites a pattern of Oniguruma's Ruby syntax, which tokenizer.json files are written for, to one of PCRE2 with the same
/// matches: Unicode classes, nested classes, `(?m:`, `\h`, an interval followed by `+`. `^` and `$` match at every line there,
/// so the result is meant for PCRE2_MULTILINE. Throws Error{unsupported} for what PCRE2 cannot say.
std::string oniguruma_to_pcre2(std::string_view pattern);

}  // namespace nibble::tokenizer
