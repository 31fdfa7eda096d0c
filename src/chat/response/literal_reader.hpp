#pragma once

#include <string>
#include <string_view>

namespace nibble {

/// What a byte did to a value that is being read.
enum class ReadStep {
  more,    ///< the value goes on
  done,    ///< it ended with this byte
  before,  ///< it ended before this byte, which is not part of it
  failed,  ///< this byte cannot stand here
};

/// How values are written where JSON and Python do not say it: Gemma's calls quote with a token and leave keys bare.
struct LiteralDialect {
  std::string_view quote = {};  ///< opens and closes strings without escapes, beside " and '
  bool bare_words = false;      ///< a word that is no number and no constant is a text, as key and as value
};

/// Turns one literal value of JSON or Python into JSON, byte by byte. Takes what models write: both kinds of quotes and of constants,
/// tuples, trailing commas, raw line ends in strings, escapes of either language. What comes out is always the beginning of valid JSON,
/// spaced as Python's json.dumps does it; a lone surrogate becomes U+FFFD, and NaN and infinities null. The input is valid UTF-8. One
/// thread at a time.
class LiteralReader {
 public:
  explicit LiteralReader(LiteralDialect dialect = {}) : dialect_(dialect) {}

  /// Appends to `out` what has become certain. After `done`, `before` and `failed` there must be no further byte.
  ReadStep push(char c, std::string& out);
  /// The text is over. True when the value is whole.
  bool finish(std::string& out);

 private:
  enum class State { value, element, key, colon, after, quoting, text, escape, code, word, done };
  static constexpr size_t kMaxDepth = 256, kMaxWord = 4096;

  ReadStep start_value(char c, std::string& out, bool may_close);
  ReadStep start_key(char c, std::string& out);
  ReadStep after_value(char c, std::string& out);
  ReadStep open(char c, std::string& out);
  ReadStep close(char c, std::string& out);
  ReadStep value_ended(bool with_this_byte);
  void start_text(std::string_view delimiter);
  ReadStep in_quoting(char c, std::string& out);
  ReadStep in_text(char c, std::string& out);
  ReadStep in_escape(char c, std::string& out);
  ReadStep in_code(char c, std::string& out);
  ReadStep in_word(char c, std::string& out);
  ReadStep end_text(std::string& out);
  bool end_word(std::string& out);
  void separate(std::string& out);
  void put_plain(char c, std::string& out);
  void put_code(char32_t code, std::string& out);
  void flush_surrogate(std::string& out);

  LiteralDialect dialect_;
  State state_ = State::value;
  std::string open_;       ///< a closing bracket for each open container
  bool comma_ = false;     ///< a comma has been read and not written
  bool in_key_ = false;    ///< the text or word is a key
  std::string delimiter_;  ///< ends the text
  size_t matched_ = 0;     ///< bytes of the delimiter, or of the dialect's opening quote, that have been read
  bool escapes_ = true;
  size_t code_digits_ = 0;  ///< digits of a numeric escape still to come
  unsigned code_base_ = 16;
  char32_t code_ = 0, surrogate_ = 0;
  std::string word_;
};

/// The JSON of a number or constant that JSON or Python may write, or nothing.
std::string json_of_word(std::string_view word);

}  // namespace nibble
