#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble::tokenizer {

class PcreProgram;

/// A compiled pattern as tokenizer.json files spell them (Oniguruma, Ruby syntax). Immutable and thread-safe.
class Regex {
 public:
  /// Throws Error{unsupported} with the reason when the pattern does not compile.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  /// All matches in valid UTF-8, left to right, none overlapping; an empty match right after another match does not count.
  /// Throws Error{exhausted} when a match takes too many steps.
  void find_all(std::string_view text, std::vector<std::pair<size_t, size_t>>& matches) const;

  const std::string& pattern() const { return pattern_; }

 private:
  std::string pattern_;
  std::unique_ptr<const PcreProgram> program_;
};

}  // namespace nibble::tokenizer
