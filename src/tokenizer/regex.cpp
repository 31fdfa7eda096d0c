#include "tokenizer/regex.hpp"

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/pcre_program.hpp"
#include "tokenizer/regex_syntax.hpp"

namespace nibble::tokenizer {
namespace {

constexpr size_t kMaxPatternSize = 64 << 10;

std::unique_ptr<const PcreProgram> compile(const std::string& pattern) {
  if (pattern.size() > kMaxPatternSize) fail(ErrorKind::unsupported, "a pattern of {} bytes is too long", pattern.size());
  return std::make_unique<PcreProgram>(oniguruma_to_pcre2(pattern), PcreProgram::Anchors::lines, PcreProgram::Input::valid);
}

}  // namespace

Regex::Regex(std::string_view pattern) : pattern_(pattern), program_(compile(pattern_)) {}
Regex::~Regex() = default;

void Regex::find_all(std::string_view text, std::vector<std::pair<size_t, size_t>>& matches) const {
  PcreProgram::Matcher matcher(*program_, text);
  size_t start = 0, last_end = std::string_view::npos;
  while (start <= text.size() && matcher.find(start)) {
    const size_t begin = matcher.bounds()[0], end = matcher.bounds()[1];
    if (begin == end && end == last_end) {
      start += start < text.size() ? code_point_at(text, start).size : 1;
      continue;
    }
    matches.emplace_back(begin, end);
    start = last_end = end;
  }
}

}  // namespace nibble::tokenizer
