#include "chat/jinja/wrap.hpp"

#include <algorithm>

#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

bool is_blank(char32_t c) { return c == ' ' || (c >= 9 && c <= 13); }

/// A hyphen between two letters on either side may end a line.
bool may_break_after(std::u32string_view word, size_t hyphen) {
  auto letter = [&](size_t i) { return i < word.size() && is_alpha(word[i]); };
  return hyphen >= 2 && letter(hyphen - 1) && is_word(word[hyphen - 2]) && letter(hyphen + 1) && hyphen + 2 < word.size() &&
         is_word(word[hyphen + 2]);
}

/// The words and the white space between them, hyphenated words in their parts.
std::vector<std::u32string_view> chunks_of(std::u32string_view text, bool hyphens) {
  std::vector<std::u32string_view> chunks;
  for (size_t start = 0; start < text.size();) {
    const bool blank = is_blank(text[start]);
    size_t end = start;
    while (end < text.size() && is_blank(text[end]) == blank) ++end;
    const std::u32string_view chunk = text.substr(start, end - start);
    size_t done = 0;
    for (size_t i = 0; hyphens && !blank && i < chunk.size(); ++i) {
      if (chunk[i] != '-' || !may_break_after(chunk, i)) continue;
      chunks.push_back(chunk.substr(done, i + 1 - done));
      done = i + 1;
    }
    chunks.push_back(chunk.substr(done));
    start = end;
  }
  return chunks;
}

bool blank(std::u32string_view chunk) { return std::all_of(chunk.begin(), chunk.end(), is_blank); }

}  // namespace

std::vector<std::string> wrap_line(std::string_view line, const WrapStyle& style) {
  const std::u32string text = code_points(line);
  std::vector<std::u32string_view> rest = chunks_of(text, style.break_on_hyphens);
  std::reverse(rest.begin(), rest.end());
  const auto width = static_cast<size_t>(style.width);
  std::vector<std::string> lines;
  while (!rest.empty()) {
    if (blank(rest.back()) && !lines.empty()) rest.pop_back();
    std::vector<std::u32string_view> current;
    size_t size = 0;
    while (!rest.empty() && size + rest.back().size() <= width) {
      size += rest.back().size();
      current.push_back(rest.back());
      rest.pop_back();
    }
    if (!rest.empty() && rest.back().size() > width) {  // a word that no line can hold
      const size_t room = style.break_long_words ? width - size : current.empty() ? rest.back().size() : 0;
      if (room > 0) current.push_back(rest.back().substr(0, room));
      rest.back().remove_prefix(room);
      if (rest.back().empty()) rest.pop_back();
    }
    if (!current.empty() && blank(current.back())) current.pop_back();
    if (current.empty()) continue;
    std::u32string joined;
    for (std::u32string_view chunk : current) joined += chunk;
    lines.push_back(to_utf8(joined));
  }
  return lines;
}

}  // namespace nibble::jinja
