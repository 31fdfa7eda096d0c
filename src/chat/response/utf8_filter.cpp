#include "chat/response/utf8_filter.hpp"

#include <unicode/utf8.h>

#include <utility>

namespace nibble {

namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";

/// Whether `byte` may follow `held`; only a second byte has limits of its own.
bool may_follow(const std::string& held, unsigned char byte) {
  const auto lead = static_cast<unsigned char>(held[0]);
  if (held.size() > 1 || lead < 0xE0) return U8_IS_TRAIL(byte);
  return lead < 0xF0 ? U8_IS_VALID_LEAD3_AND_T1(lead, byte) != 0 : U8_IS_VALID_LEAD4_AND_T1(lead, byte) != 0;
}

}  // namespace

void Utf8Filter::push(char c, std::string& out) {
  const auto byte = static_cast<unsigned char>(c);
  if (missing_ == 0) return start(byte, out);
  if (!may_follow(held_, byte)) {
    finish(out);
    return start(byte, out);
  }
  held_ += c;
  if (--missing_ == 0) out += std::exchange(held_, {});
}

void Utf8Filter::start(unsigned char byte, std::string& out) {
  if (U8_IS_SINGLE(byte)) {
    out += static_cast<char>(byte);
  } else if (U8_IS_LEAD(byte)) {
    held_.assign(1, static_cast<char>(byte));
    missing_ = U8_COUNT_TRAIL_BYTES(byte);
  } else {
    out += kReplacement;
  }
}

void Utf8Filter::finish(std::string& out) {
  if (missing_ > 0) out += kReplacement;
  held_.clear();
  missing_ = 0;
}

}  // namespace nibble
