#include "tokenizer/openvino/pattern_set.hpp"

#include <string>

namespace nibble::tokenizer {
namespace {

// PCRE2 compiles to at most 64 KiB, two bytes and more for each of the pattern.
constexpr size_t kLargePattern = 16'000, kPartSize = 8'000;

/// Positions of `wanted` in `pattern` from `begin` on, outside classes and of nesting depth `depth`; escaped characters are skipped.
std::vector<size_t> positions(std::string_view pattern, char wanted, int depth) {
  std::vector<size_t> found;
  int level = 0;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      ++i;
      continue;
    }
    if (in_class) {
      in_class = c != ']';
      continue;
    }
    if (c == ')') --level;
    if (c == wanted && level == depth) found.push_back(i);
    if (c == '(') ++level;
    in_class = c == '[';
  }
  return found;
}

std::vector<std::string_view> alternatives(std::string_view pattern) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t bar : positions(pattern, '|', 0)) {
    parts.push_back(pattern.substr(begin, bar - begin));
    begin = bar + 1;
  }
  parts.push_back(pattern.substr(begin));
  return parts;
}

/// The body of a pattern that is one group "(?|...)" or "(?:...)"; else the pattern.
std::string_view unwrapped(std::string_view pattern) {
  const bool wrapped = pattern.starts_with("(?|") || pattern.starts_with("(?:");
  const std::vector<size_t> closing = positions(pattern, ')', 0);
  if (!wrapped || closing.empty() || closing.front() != pattern.size() - 1) return pattern;
  return pattern.substr(3, pattern.size() - 4);
}

/// The largest group of a sequence: where it opens and closes.
std::optional<std::pair<size_t, size_t>> largest_group(std::string_view pattern) {
  const std::vector<size_t> opening = positions(pattern, '(', 0), closing = positions(pattern, ')', 0);
  std::optional<std::pair<size_t, size_t>> largest;
  for (size_t i = 0; i < opening.size() && i < closing.size(); ++i)
    if (!largest || closing[i] - opening[i] > largest->second - largest->first) largest = {opening[i], closing[i]};
  return largest;
}

/// Joins alternatives to patterns of about kPartSize bytes.
void join(const std::vector<std::string_view>& parts, std::string_view before, std::string_view after, std::vector<std::string>& patterns) {
  for (size_t i = 0; i < parts.size();) {
    std::string pattern(before);
    const size_t first = i;
    for (; i < parts.size() && (i == first || pattern.size() < kPartSize); ++i) pattern.append(i == first ? "" : "|").append(parts[i]);
    patterns.push_back(pattern.append(after));
  }
}

std::vector<std::string> parts_of(std::string_view pattern) {
  if (pattern.size() < kLargePattern) return {std::string(pattern)};
  std::vector<std::string> patterns;
  std::vector<std::string_view> small;
  for (std::string_view alternative : alternatives(unwrapped(pattern))) {
    const auto group = alternative.size() < kLargePattern ? std::nullopt : largest_group(alternative);
    if (!group || alternative.substr(group->first + 1).starts_with("?")) {
      small.push_back(alternative);
      continue;
    }
    join(small, "", "", patterns);
    small.clear();
    const std::string_view body = alternative.substr(group->first + 1, group->second - group->first - 1);
    join(alternatives(body), alternative.substr(0, group->first + 1), alternative.substr(group->second), patterns);
  }
  join(small, "", "", patterns);
  return patterns;
}

}  // namespace

PatternSet::PatternSet(std::string_view pattern) {
  for (const std::string& part : parts_of(pattern))
    programs_.push_back(std::make_unique<PcreProgram>(part, PcreProgram::Anchors::text, PcreProgram::Input::any));
}

PatternSet::Matcher::Matcher(const PatternSet& set, std::string_view text) {
  for (const auto& program : set.programs_) programs_.push_back({std::make_unique<PcreProgram::Matcher>(*program, text)});
}

bool PatternSet::Matcher::find(size_t start) {
  std::optional<size_t> first;
  for (size_t i = 0; i < programs_.size(); ++i) {
    Program& program = programs_[i];
    // A match that lies ahead stays the program's next one.
    const bool is_ahead = program.found && program.matcher->bounds()[0] >= start;
    if (!program.searched || (program.found && !is_ahead)) {
      program.found = program.matcher->find(start);
      program.searched = true;
    }
    if (program.found && (!first || program.matcher->bounds()[0] < *first)) {
      first = program.matcher->bounds()[0];
      best_ = i;
    }
  }
  return first.has_value();
}

}  // namespace nibble::tokenizer
