#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::jinja {

/// Options of Python's textwrap that the wordwrap filter has.
struct WrapStyle {
  int64_t width = 79;  ///< code points
  bool break_long_words = true, break_on_hyphens = true;
};

/// textwrap.wrap of one line.
std::vector<std::string> wrap_line(std::string_view line, const WrapStyle& style);

}  // namespace nibble::jinja
