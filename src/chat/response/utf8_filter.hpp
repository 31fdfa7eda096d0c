#pragma once

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
  std::string held_;  ///< the beginning of a character
};

}  // namespace nibble
