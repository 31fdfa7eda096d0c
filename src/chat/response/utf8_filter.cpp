#include "chat/response/utf8_filter.hpp"

#include "base/utf8.hpp"

namespace nibble {

void Utf8Filter::push(char c, std::string& out) {
  held_ += c;
  held_.erase(0, append_sanitized(out, held_));
}

void Utf8Filter::finish(std::string& out) {
  if (!held_.empty()) out += kReplacementCharacter;
  held_.clear();
}

}  // namespace nibble
