#include "tokenizer/openvino/replacement.hpp"

#include "base/fail.hpp"
#include "tokenizer/pcre_program.hpp"

namespace nibble::tokenizer {

Replacement::Replacement(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] >= '1' && text[i + 1] <= '9') {
      parts_.push_back({static_cast<size_t>(text[i + 1] - '0'), ""});
      i += 2;
    } else if (text[i] == '$') {
      i = read_dollar(text, i + 1);
    } else {
      parts_.back().text.push_back(text[i++]);
    }
  }
}

void Replacement::append(std::string_view text, std::span<const size_t> bounds, std::string& out) const {
  for (const Part& part : parts_) {
    if (part.group && 2 * *part.group < bounds.size() && bounds[2 * *part.group] != PcreProgram::kUnset)
      out.append(text, bounds[2 * *part.group], bounds[2 * *part.group + 1] - bounds[2 * *part.group]);
    out.append(part.text);
  }
}

size_t Replacement::read_dollar(std::string_view text, size_t i) {
  if (i < text.size() && text[i] == '$') {
    parts_.back().text.push_back('$');
    return i + 1;
  }
  const bool braced = i < text.size() && text[i] == '{';
  size_t end = i + (braced ? 1 : 0), group = 0;
  for (; end < text.size() && text[end] >= '0' && text[end] <= '9' && group < 1000; ++end)
    group = 10 * group + static_cast<size_t>(text[end] - '0');
  const bool has_digits = end > i + (braced ? 1 : 0);
  if (!has_digits || (braced && (end >= text.size() || text[end] != '}')))
    fail(ErrorKind::unsupported, "the replacement \"{}\" refers to a group by something other than its number", text);
  parts_.push_back({group, ""});
  return end + (braced ? 1 : 0);
}

}  // namespace nibble::tokenizer
