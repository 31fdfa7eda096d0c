#pragma once

#include <string_view>
#include <vector>

#include "chat/jinja/run.hpp"

namespace nibble::jinja {

/// text.replace(from, to, count); a negative count replaces all.
Value replace_text(Run& run, std::string_view text, std::string_view from, std::string_view to, int64_t count, bool markup);

/// str.splitlines: the lines of `text`, with all line ends that Python knows.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);

}  // namespace nibble::jinja
