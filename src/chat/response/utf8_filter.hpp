#pragma once

#include <cstddef>
#include <string>

namespace nibble {

/// Makes valid UTF-8 of bytes that come one by one: each maximal invalid part becomes U+FFFD (Unicode, table 3-7). One thread at a time.
class Utf8Filter {
 public:
  /// Appends what the byte makes certain: whole characters.
  void push(char c, std::string& out);
  /// The end of the bytes.
  void finish(std::string& out);

 private:
  void start(unsigned char byte, std::string& out);

  std::string held_;    ///< the beginning of a character
  size_t missing_ = 0;  ///< bytes of it that have to follow
};

}  // namespace nibble
