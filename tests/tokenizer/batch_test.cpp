#include <gtest/gtest.h>

#include "nibble/context.hpp"
#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"

namespace nibble::test {
namespace {

using Ids = std::vector<int64_t>;

Tokenizer llama2() { return Tokenizer(reference_directory() / "llama2"); }

Encoding of_ids(Ids ids) { return {ids, {}, std::vector<uint32_t>(ids.size(), 1)}; }

TEST(EncodeBatch, GivesWhatEachTextGives) {
  ContextOptions options;
  options.threads = 3;
  Context context(options);
  const Tokenizer tokenizer = llama2();
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back("text " + std::to_string(i) + std::string(static_cast<size_t>(i), ' '));
  const auto encodings = tokenizer.encode_batch(texts, context, {.offsets = true});
  ASSERT_EQ(encodings.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const Encoding alone = tokenizer.encode(texts[i], {.offsets = true});
    EXPECT_EQ(encodings[i].ids, alone.ids);
    EXPECT_EQ(encodings[i].offsets, alone.offsets);
  }
}

TEST(EncodeBatch, FailsAsOneTextDoes) {
  Context context;
  const std::vector<std::string> texts{"fine", "\xff"};
  EXPECT_THROW((void)llama2().encode_batch(texts, context, {.invalid_utf8 = InvalidUtf8::refuse}), Error);
}

TEST(InvalidText, IsRefusedWithItsPlace) {
  try {
    (void)llama2().encode("caf\xC3\xA9 \xE2\x82", {.invalid_utf8 = InvalidUtf8::refuse});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("byte 6"), std::string::npos) << error.what();
  }
  EXPECT_EQ(llama2().encode("\xE2\x82").ids, llama2().encode("\xEF\xBF\xBD").ids);
}

TEST(Pad, ToTheLongest) {
  const std::vector<Encoding> encodings{of_ids({5, 6, 7}), of_ids({8})};
  const TokenBatch right = llama2().pad(encodings, {.side = Side::right, .pad_id = 0});
  EXPECT_EQ(right.rows, 2u);
  EXPECT_EQ(right.length, 3u);
  EXPECT_EQ(right.ids, (Ids{5, 6, 7, 8, 0, 0}));
  EXPECT_EQ(right.attention_mask, (Ids{1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(right.type_ids, (Ids{1, 1, 1, 1, 0, 0}));
  const TokenBatch left = llama2().pad(encodings, {.side = Side::left, .pad_id = 9});
  EXPECT_EQ(left.ids, (Ids{5, 6, 7, 9, 9, 8}));
  EXPECT_EQ(left.attention_mask, (Ids{1, 1, 1, 0, 0, 1}));
}

TEST(Pad, ToAMultiple) {
  const std::vector<Encoding> encodings{of_ids({1, 2, 3, 4, 5})};
  EXPECT_EQ(llama2().pad(encodings, {.multiple_of = 4}).length, 8u);
  EXPECT_EQ(llama2().pad(encodings, {.length = 6, .multiple_of = 4}).length, 8u);
  EXPECT_EQ(llama2().pad({}, {}).length, 0u);
}

TEST(Pad, TakesTheTokenizersTokenAndRefusesWhatDoesNotFit) {
  const std::vector<Encoding> encodings{of_ids({1, 2, 3}), of_ids({})};
  const TokenBatch batch = llama2().pad(encodings);
  EXPECT_EQ(batch.ids[3], llama2().pad_id().value_or(*llama2().eos_id()));
  EXPECT_THROW((void)llama2().pad(encodings, {.length = 2}), Error);
}

TEST(Decode, CleansSpacesUpWhereAsked) {
  const Tokenizer tokenizer = llama2();
  const Ids ids = tokenizer.encode("Hello , world !").ids;
  EXPECT_EQ(tokenizer.decode(ids, {.clean_up_spaces = true}), "Hello, world!");
  EXPECT_EQ(tokenizer.decode(ids, {.clean_up_spaces = false}), "Hello , world !");
}

}  // namespace
}  // namespace nibble::test
