#pragma once

#include <string>

#include "tokenizer/tokenizer_config.hpp"

namespace nibble::tokenizer {

/// What transformers does to decoded text beyond tokenizer.json: clean-up of spaces, and two tokenizer classes' habits.
/// Immutable and thread-safe.
class DecodeFinish {
 public:
  explicit DecodeFinish(const TokenizerConfig& config);

  /// The same, but for the clean-up of spaces.
  DecodeFinish with_clean_up(bool clean_up) const;
  /// The final text of a whole sequence.
  std::string finish(std::string text) const;
  /// The same for a part of a text, as far as it can be told from this part alone.
  std::string finish_part(std::string text) const;

 private:
  bool clean_up_, clip_, whisper_;
};

}  // namespace nibble::tokenizer
