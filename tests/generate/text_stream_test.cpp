#include "generate/text_stream.hpp"

#include <gmock/gmock.h>

namespace nibble {

using testing::ElementsAre;

namespace {

const Tokenizer& tokenizer() {
  static const Tokenizer nib(std::string(NIBBLE_SOURCE_DIR) + "/models/nib");
  return nib;
}

std::vector<int64_t> tokens(std::string_view text) { return tokenizer().encode(text, {.add_special_tokens = false}).ids; }

/// How a text went through a stream that was asked after every token.
struct Streamed {
  std::vector<std::string> pieces;
  bool stopped = false;
  size_t tokens_read = 0, tokens_kept = 0;

  std::string text() const {
    std::string joined;
    for (const auto& piece : pieces) joined += piece;
    return joined;
  }
};

Streamed stream_through(const std::vector<int64_t>& ids, const std::vector<std::string>& stop_strings, bool cut = true) {
  TextStream stream(tokenizer(), stop_strings);
  Streamed result;
  while (result.tokens_read < ids.size() && !result.stopped) {
    result.stopped = stream.put(ids[result.tokens_read++]);
    if (!result.stopped) result.pieces.push_back(stream.take());
  }
  result.tokens_kept = result.stopped ? stream.tokens_before_stop() : result.tokens_read;
  result.pieces.push_back(stream.finish(result.stopped && cut));
  return result;
}

const char* const kStory = "There was a little fox named Bella.";  // The, re, " was", " a", ...

}  // namespace

TEST(TextStream, GivesEachTokenAtOnceWithoutStopStrings) {
  EXPECT_THAT(stream_through(tokens(kStory), {}).pieces,
              ElementsAre("The", "re", " was", " a", " little", " fox", " named", " Bella", ".", ""));
}

TEST(TextStream, EmptyStopStringsAreIgnored) { EXPECT_EQ(stream_through(tokens(kStory), {""}).text(), kStory); }

TEST(TextStream, StopStringThatIsOneToken) {
  Streamed found = stream_through(tokens(kStory), {" fox"});
  EXPECT_TRUE(found.stopped);
  EXPECT_EQ(found.tokens_read, 6u);
  EXPECT_EQ(found.tokens_kept, 5u);
  EXPECT_EQ(found.text(), "There was a little");
}

TEST(TextStream, StopStringInsideATokenTakesTheWholeToken) {
  Streamed found = stream_through(tokens(kStory), {"itt"});
  EXPECT_EQ(found.tokens_kept, 4u);
  EXPECT_EQ(found.text(), "There was a") << "cut before \" little\", not after \" l\"";
}

TEST(TextStream, StopStringAcrossTokens) {
  Streamed found = stream_through(tokens(kStory), {"ox named Be"});
  EXPECT_EQ(found.tokens_read, 8u);
  EXPECT_EQ(found.tokens_kept, 5u);
  EXPECT_EQ(found.text(), "There was a little");
}

TEST(TextStream, StopStringAtTheVeryBeginning) {
  Streamed found = stream_through(tokens(kStory), {"There"});
  EXPECT_TRUE(found.stopped);
  EXPECT_EQ(found.tokens_kept, 0u);
  EXPECT_EQ(found.text(), "");
}

TEST(TextStream, OfTwoStopStringsTheOneThatComesFirstCounts) {
  for (const auto& stops : {std::vector<std::string>{"Bella", "little"}, {"little", "Bella"}})
    EXPECT_EQ(stream_through(tokens(kStory), stops).text(), "There was a");
}

TEST(TextStream, OfTwoStopStringsThatEndTogetherTheLongerCuts) {
  for (const auto& stops : {std::vector<std::string>{"named Bella", "Bella"}, {"Bella", "named Bella"}})
    EXPECT_EQ(stream_through(tokens(kStory), stops).text(), "There was a little fox");
}

TEST(TextStream, KeptStopStringIncludesItsWholeLastToken) {
  Streamed found = stream_through(tokens(kStory), {"named Be"}, false);
  EXPECT_EQ(found.tokens_read, 8u);
  EXPECT_EQ(found.text(), "There was a little fox named Bella");
}

TEST(TextStream, TextThatMayBeginAStopStringIsHeldBack) {
  EXPECT_THAT(stream_through(tokens(kStory), {" little fox sat"}).pieces,
              ElementsAre("The", "re", " was", " a", "", "", " little fox named", " Bella", ".", ""));
}

TEST(TextStream, OnlyWholeTokensAreReleased) {
  // " was" might go on to "s here": the part before the s is in the same token.
  EXPECT_THAT(stream_through(tokens(kStory), {"s here"}).pieces,
              ElementsAre("The", "re", "", " was a", " little", " fox", " named", " Bella", ".", ""));
}

TEST(TextStream, HeldBackTextComesOutAtTheEnd) {
  Streamed found = stream_through(tokens("A red ball"), {" ball."});
  EXPECT_FALSE(found.stopped);
  EXPECT_THAT(found.pieces, ElementsAre("A", " red", "", " ball"));
}

TEST(TextStream, CharactersOfSeveralTokensComeOutWhole) {
  std::vector<int64_t> ids = tokens("ca\u00e9\u4e16\U0001F98A!");
  ASSERT_EQ(ids.size(), 1 + 2 + 3 + 4 + 1u);
  EXPECT_THAT(stream_through(ids, {}).pieces, ElementsAre("ca", "", "\u00e9", "", "", "\u4e16", "", "", "", "\U0001F98A", "!", ""));
}

TEST(TextStream, StopStringOfSeveralBytesTakesAllItsTokens) {
  Streamed found = stream_through(tokens("ca\u4e16!"), {"\u4e16"});
  EXPECT_TRUE(found.stopped);
  EXPECT_EQ(found.tokens_kept, 1u) << "tokens of the first bytes must not stay";
  EXPECT_EQ(found.text(), "ca");
}

TEST(TextStream, StopStringAfterACharacterOfSeveralTokensKeepsThemAll) {
  Streamed found = stream_through(tokens("ca\u4e16!"), {"!"});
  EXPECT_EQ(found.tokens_kept, 4u);
  EXPECT_EQ(found.text(), "ca\u4e16");
}

TEST(TextStream, UnfinishedCharacterAtTheEndIsReplaced) {
  std::vector<int64_t> ids = tokens("ca\u4e16");
  ids.pop_back();
  EXPECT_EQ(stream_through(ids, {}).text(), tokenizer().decode(ids));
  EXPECT_EQ(stream_through(ids, {}).text(), "ca\ufffd");
}

TEST(TextStream, LongTextsFindStopStringsEverywhere) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += " fox named Bella";
  text += " the end";
  Streamed found = stream_through(tokens(text), {"Bella the"});
  EXPECT_TRUE(found.stopped);
  EXPECT_EQ(found.tokens_kept, 3 * 50 - 1u);
}

}  // namespace nibble
