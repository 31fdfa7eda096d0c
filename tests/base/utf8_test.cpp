#include "base/utf8.hpp"

#include <gtest/gtest.h>

#include <vector>

// Expected values: Unicode 15, tables 3-6 to 3-11.

namespace nibble {
namespace {

struct Character {
  char32_t value;
  std::string bytes;
};

/// The first and last of every row of the table of well-formed sequences.
std::vector<Character> characters() {
  return {{0x00, std::string(1, '\0')},
          {0x7F, "\x7F"},
          {0x80, "\xC2\x80"},
          {0x7FF, "\xDF\xBF"},
          {0x800, "\xE0\xA0\x80"},
          {0xFFF, "\xE0\xBF\xBF"},
          {0x1000, "\xE1\x80\x80"},
          {0xD7FF, "\xED\x9F\xBF"},
          {0xE000, "\xEE\x80\x80"},
          {0xFFFF, "\xEF\xBF\xBF"},
          {0x10000, "\xF0\x90\x80\x80"},
          {0x10FFFF, "\xF4\x8F\xBF\xBF"}};
}

TEST(Utf8, CodePointsAreReadAndWritten) {
  for (const auto& [value, bytes] : characters()) {
    EXPECT_EQ(to_utf8(value), bytes);
    CodePoint first = code_point_at("x" + bytes + "y", 1);
    EXPECT_EQ(first.value, value);
    EXPECT_EQ(first.size, bytes.size());
    CodePoint last = code_point_before("x" + bytes + "y", 1 + bytes.size());
    EXPECT_EQ(last.value, value);
    EXPECT_EQ(last.size, bytes.size());
  }
}

TEST(Utf8, WellFormedSequencesAreValid) {
  std::string all;
  for (const auto& [value, bytes] : characters()) {
    EXPECT_TRUE(is_utf8(bytes)) << std::hex << static_cast<uint32_t>(value);
    all += bytes;
  }
  EXPECT_TRUE(is_utf8(all));
  EXPECT_EQ(count_code_points(all), characters().size());
  EXPECT_EQ(sanitize_utf8(all), all);
}

TEST(Utf8, OtherSequencesAreNot) {
  for (const char* bytes : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF",
                            "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC2", "\xE2\x82", "\xF0\x9F\x98", "\xC2x"}) {
    EXPECT_FALSE(is_utf8(bytes));
    EXPECT_EQ(valid_utf8_size("a\xC3\xA9" + std::string(bytes)), 3u);
  }
}

TEST(Utf8, EndsInTheMiddleOfACharacterAreIncomplete) {
  for (const auto& [value, bytes] : characters())
    for (size_t size = 1; size < bytes.size(); ++size) {
      Utf8Prefix prefix = scan_utf8(std::string_view(bytes).substr(0, size));
      EXPECT_EQ(prefix.kind, Utf8Kind::incomplete);
      EXPECT_EQ(prefix.size, size);
    }
}

/// The examples of tables 3-8, 3-9, 3-10 and 3-11.
TEST(Utf8, EachMaximalInvalidPartIsReplacedOnce) {
  auto replaced = [](std::string_view pattern) {
    std::string text;
    for (char c : pattern) text += c == '?' ? std::string(kReplacementCharacter) : std::string(1, c);
    return text;
  };
  EXPECT_EQ(sanitize_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), replaced("????????A"));
  EXPECT_EQ(sanitize_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), replaced("????????A"));
  EXPECT_EQ(sanitize_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), replaced("?????A??B"));
  EXPECT_EQ(sanitize_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), replaced("????A"));
  EXPECT_EQ(sanitize_utf8("a\xE2\x82"), replaced("a?"));
}

TEST(Utf8, UnfinishedCharactersWaitForTheirRest) {
  std::string text;
  EXPECT_EQ(append_sanitized(text, "a\xFF\xE2\x82", "*"), 2u);
  EXPECT_EQ(text, "a*");
  EXPECT_EQ(append_sanitized(text, "\xE2\x82\xAC", "*"), 3u);
  EXPECT_EQ(text, "a*\xE2\x82\xAC");
}

/// Text as Python keeps it may hold them.
TEST(Utf8, SurrogatesAreThreeBytesAndNotValid) {
  std::string text = to_utf8(0xD83D);
  EXPECT_EQ(text, "\xED\xA0\xBD");
  EXPECT_EQ(code_point_at(text, 0).value, char32_t{0xD83D});
  EXPECT_FALSE(is_utf8(text));
}

}  // namespace
}  // namespace nibble
