#include "tokenizer/unicode.hpp"

#include <gtest/gtest.h>

#include "nibble/tokenizer.hpp"
#include "temporary_directory.hpp"

namespace nibble::test {
namespace {

using namespace nibble::tokenizer;

/// What tokenizers 0.22.2 says of characters that came, or changed, after its tables were made.
TEST(UnicodeProperties, AreThoseOfTheTokenizersLibrary) {
  EXPECT_TRUE(is_punctuation(0x2E42));   // Unicode 7
  EXPECT_FALSE(is_punctuation(0x2E43));  // 9
  EXPECT_FALSE(is_punctuation(0x061D));  // 14
  EXPECT_TRUE(is_punctuation(0x166D));   // a symbol since 12
  EXPECT_TRUE(is_mark(0x08D4));          // 9
  EXPECT_FALSE(is_mark(0x08D3));         // 11
  EXPECT_TRUE(is_mark(0x1CF2));          // a letter since 12
  EXPECT_FALSE(is_nonspacing_mark(0x08D4));
  EXPECT_TRUE(is_nonspacing_mark(0x0301));
  EXPECT_TRUE(is_other(0x200D));
  EXPECT_FALSE(is_other(0x08E2));  // 9
}

/// Two ways to split are equally good but for the last bit of the scores: tokenizers 0.22.2 takes this one.
TEST(UnigramScores, AreReadToTheBitOfTheTokenizersLibrary) {
  TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -12.061198135283583],
    ["aa", -10.672612469954963], ["aaa", -10.881985150642969]]}})");
  EXPECT_EQ(Tokenizer(directory.path()).encode("aaaaaaa").ids, (std::vector<int64_t>{2, 3, 2}));
}

}  // namespace
}  // namespace nibble::test
