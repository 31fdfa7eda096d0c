#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nibble/tokenizer.hpp"

namespace nibble {

/// The text of an answer while it grows: certain pieces per token, stop strings found, text held back that may turn out to
/// begin one. Not thread-safe.
class TextStream {
 public:
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop_strings, bool skip_special_tokens = true);

  /// Makes the answer continue the text of `prompt`, which it returns; before the first put().
  std::string continue_from(std::span<const int64_t> prompt);
  /// Takes the next token. True when a stop string is complete.
  bool put(int64_t id);
  /// Number of tokens whose text lies wholly before the found stop string.
  size_t tokens_before_stop() const { return tokens_before_stop_; }
  /// Text that may be shown now; each character is returned once. Before the end, whole pieces only.
  std::string take();
  /// The end: releases what was held back, up to the stop string if `cut`.
  std::string finish(bool cut);

 private:
  size_t certain_end() const;
  void find_stop(size_t search_from);

  StreamingDetokenizer detokenizer_;
  std::vector<std::string> stop_strings_;
  std::string text_;
  std::vector<size_t> piece_ends_;  // by token: length of the text after it
  size_t taken_ = 0;
  size_t tokens_before_stop_ = 0;
  std::optional<size_t> stop_at_;
};

}  // namespace nibble
