#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nibble/error.hpp"
#include "tokenizer/regex.hpp"
#include "tokenizer/regex_syntax.hpp"

namespace nibble::tokenizer {
namespace {

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  std::vector<std::pair<size_t, size_t>> ranges;
  Regex(pattern).find_all(text, ranges);
  std::vector<std::string> found;
  for (const auto& [begin, end] : ranges) found.emplace_back(text.substr(begin, end - begin));
  return found;
}

TEST(RegexSyntax, IntervalWithPlusRepeats) {
  EXPECT_THAT(matches("[0-9]{1,3}+", "1234567"), testing::ElementsAre("1234567"));
  EXPECT_THAT(matches("(ab|c){2}+", "ababcabc"), testing::ElementsAre("ababcab"));
}

TEST(RegexSyntax, PlusAfterOtherQuantifiersIsPossessive) { EXPECT_THAT(matches("a++a|b?+b", "aaabb"), testing::ElementsAre("bb")); }

TEST(RegexSyntax, ClassesWithinClassesAreUnions) {
  EXPECT_THAT(matches("[^(\\s|[.,!])]+", "a(b c.d"), testing::ElementsAre("a", "b", "c", "d"));
}

TEST(RegexSyntax, AnchorsMatchAtEveryLine) { EXPECT_THAT(matches("^.|.$", "ab\ncd"), testing::ElementsAre("a", "b", "c", "d")); }

TEST(RegexSyntax, RubysMIsDotAll) { EXPECT_THAT(matches("(?m:a.b)", "a\nb"), testing::ElementsAre("a\nb")); }

TEST(RegexSyntax, HIsAHexDigit) { EXPECT_THAT(matches("\\h+", "xC0FFEEx"), testing::ElementsAre("C0FFEE")); }

TEST(RegexSyntax, LongPropertyNames) { EXPECT_THAT(matches("\\p{Letter}+|\\p{^Letter}+", "ab12"), testing::ElementsAre("ab", "12")); }

TEST(RegexSyntax, EmojiNewerThanTheTablesAreSymbols) {
  EXPECT_THAT(matches("\\p{S}+|[\\p{S}]+", "a\U0001FAE9"), testing::ElementsAre("\U0001FAE9"));
}

TEST(RegexSyntax, RefusesWhatPcre2CannotSay) {
  for (const char* pattern : {"[a&&b]", "[a[^b]]", "[\\W]", "[a", "\\u12", "(", "(?~a)", "\\"}) {
    try {
      const Regex regex(pattern);
      ADD_FAILURE() << pattern << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unsupported) << pattern;
    }
  }
}

TEST(Regex, EmptyMatchesCountOnceBetweenOthers) { EXPECT_THAT(matches("a*", "baac"), testing::ElementsAre("", "aa", "")); }

TEST(Regex, ExplodingPatternsAreStopped) {
  try {
    matches("(a|a)*$x|(a+)+b", std::string(4000, 'a'));
    FAIL() << "matched within the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::exhausted);
  }
}

TEST(Regex, LongRunsOfSpacesAreNoExplosion) { EXPECT_THAT(matches("\\s*[\\r\\n]+|\\s+", std::string(1 << 20, ' ')).size(), 1u); }

}  // namespace
}  // namespace nibble::tokenizer
