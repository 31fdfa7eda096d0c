#include <gtest/gtest.h>

#include <random>

#include "base/utf8.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "temporary_directory.hpp"

namespace nibble::test {
namespace {

std::vector<int64_t> random_ids(const Tokenizer& tokenizer, std::mt19937& random, size_t count) {
  std::uniform_int_distribution<int64_t> any(0, static_cast<int64_t>(tokenizer.vocab_size()) - 1), low(0, 300);
  std::vector<int64_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(random() % 2 == 0 ? any(random) : low(random));
  return ids;
}

class Streaming : public testing::TestWithParam<const char*> {};

TEST_P(Streaming, EmitsWholeCharactersOnly) {
  const Tokenizer tokenizer(reference_directory() / GetParam());
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    StreamingDetokenizer stream(tokenizer);
    for (int64_t id : random_ids(tokenizer, random, 60)) ASSERT_TRUE(is_utf8(stream.put(id)));
    ASSERT_TRUE(is_utf8(stream.flush()));
  }
}
INSTANTIATE_TEST_SUITE_P(Reference, Streaming, testing::Values("llama2", "gpt2", "llama3"));

TEST(StreamingDetokenizer, OfByteLevelTokensJoinsToTheDecodedText) {
  const Tokenizer tokenizer(reference_directory() / "gpt2");
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const std::vector<int64_t> ids = random_ids(tokenizer, random, 40);
    StreamingDetokenizer stream(tokenizer);
    std::string joined;
    for (int64_t id : ids) joined += stream.put(id);
    ASSERT_EQ(joined + stream.flush(), tokenizer.decode(ids));
  }
}

TEST(StreamingDetokenizer, StartsAfreshAfterFlush) {
  const Tokenizer tokenizer(reference_directory() / "llama2");
  const std::vector<int64_t> ids = tokenizer.encode("Hello world", {.add_special_tokens = false}).ids;
  StreamingDetokenizer stream(tokenizer);
  for (int round = 0; round < 2; ++round) {
    std::string joined;
    for (int64_t id : ids) joined += stream.put(id);
    EXPECT_EQ(joined + stream.flush(), "Hello world") << "the first token loses its space each time";
  }
}

TEST(StreamingDetokenizer, ShowsSpecialTokensWhenAsked) {
  const Tokenizer tokenizer(reference_directory() / "llama3");
  StreamingDetokenizer hiding(tokenizer), showing(tokenizer, false);
  EXPECT_EQ(hiding.put(*tokenizer.bos_id()), "");
  EXPECT_EQ(showing.put(*tokenizer.bos_id()), "<|begin_of_text|>");
}

/// A tokenizer of the words of `vocab` with a decoder.
Tokenizer with_decoder(const std::string& decoder, const std::string& vocab) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"model": {"type": "WordLevel", "vocab": )" + vocab + R"(}, "decoder": )" + decoder + "}");
  return Tokenizer(directory.path());
}

std::vector<std::string> stream_all(const Tokenizer& tokenizer, const std::vector<int64_t>& ids) {
  StreamingDetokenizer stream(tokenizer);
  std::vector<std::string> parts;
  for (int64_t id : ids) parts.push_back(stream.put(id));
  parts.push_back(stream.flush());
  return parts;
}

using Parts = std::vector<std::string>;

TEST(StreamingDecoders, ReplaceAfterFuseWaitsForTheRestOfAMatch) {
  const Tokenizer tokenizer = with_decoder(
      R"({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "@@@"}, "content": "-"}]})",
      R"({"a": 0, "@@": 1, "@": 2})");
  EXPECT_EQ(stream_all(tokenizer, {0, 1, 2, 0, 2, 0}), (Parts{"a", "", "-", "a", "", "@a", ""}));
}

TEST(StreamingDecoders, RegexReplaceAfterFuseWaitsForTheEnd) {
  const Tokenizer tokenizer = with_decoder(
      R"({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "-"}]})",
      R"({"a": 0, "b": 1})");
  EXPECT_EQ(stream_all(tokenizer, {0, 0, 1}), (Parts{"", "", "", "-b"}));
}

TEST(StreamingDecoders, StripAtTheEndHoldsBack) {
  const Tokenizer tokenizer =
      with_decoder(R"({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1}]})",
                   R"({" ": 0, "b": 1})");
  EXPECT_EQ(stream_all(tokenizer, {0, 0, 1, 0, 0}), (Parts{"", "", " b", "", " ", ""}));
}

TEST(StreamingDecoders, WordEndsBecomeSpacesWhenAWordFollows) {
  const Tokenizer tokenizer = with_decoder(R"({"type": "BPEDecoder", "suffix": "</w>"})", R"({"a</w>": 0, "b": 1})");
  EXPECT_EQ(stream_all(tokenizer, {0, 1, 0}), (Parts{"a", " b", "a", ""}));
}

}  // namespace
}  // namespace nibble::test
