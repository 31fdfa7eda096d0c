#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/pcre_program.hpp"

namespace nibble::tokenizer {

/// A pattern of alternatives that may be too many for one program of PCRE2: thousands of special tokens. Alternatives, and those of a group
/// that is all there is between a beginning and an end, are then spread over several programs. Thread-safe.
class PatternSet {
 public:
  /// Throws Error{unsupported} with the reason when the pattern does not compile.
  explicit PatternSet(std::string_view pattern);

  /// Borrows the set and the text. For one thread.
  class Matcher {
   public:
    Matcher(const PatternSet& set, std::string_view text);
    /// Looks for the leftmost match from `start` on, which must not go back; of several that begin there the first alternative's.
    bool find(size_t start);
    /// Of the match and its groups.
    std::span<const size_t> bounds() const { return programs_[best_].matcher->bounds(); }

   private:
    struct Program {
      std::unique_ptr<PcreProgram::Matcher> matcher;
      bool searched = false, found = false;
    };
    std::vector<Program> programs_;
    size_t best_ = 0;
  };

 private:
  std::vector<std::unique_ptr<const PcreProgram>> programs_;
};

}  // namespace nibble::tokenizer
