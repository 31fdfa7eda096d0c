#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace nibble::tokenizer {

/// A pattern compiled by PCRE2 for UTF-8 with Unicode properties. Thread-safe. Matching is bounded in steps and memory.
class PcreProgram {
  class Scratch;

 public:
  enum class Anchors { text, lines };  ///< what ^ and $ stand for
  enum class Input { valid, any };     ///< texts are valid UTF-8, or may hold anything: no match crosses what is none

  /// Throws Error{unsupported} with the reason when the pattern does not compile.
  PcreProgram(std::string_view pattern, Anchors anchors, Input input);
  ~PcreProgram();
  PcreProgram(const PcreProgram&) = delete;
  PcreProgram& operator=(const PcreProgram&) = delete;

  static constexpr size_t kUnset = ~size_t{0};

  /// A place to match in: borrowed by one thread at a time.
  class Matcher {
   public:
    Matcher(const PcreProgram& program, std::string_view text);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    /// Looks for the first match from `start` on; true when there is one. Throws Error{exhausted} when that takes too many steps.
    bool find(size_t start, bool not_empty_at_start = false);
    /// Begin and end of the match and of its groups, kUnset where a group took no part.
    std::span<const size_t> bounds() const;

   private:
    const PcreProgram& program_;
    std::string_view text_;
    std::unique_ptr<Scratch> scratch_;
    size_t groups_ = 0;  // that the last match took part in, itself included
  };

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<Scratch> borrow() const;
  void give_back(std::unique_ptr<Scratch> scratch) const;

  std::unique_ptr<pcre2_real_code_8, CodeDeleter> code_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

}  // namespace nibble::tokenizer
