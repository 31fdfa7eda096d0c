#include <gmock/gmock.h>

#include <cstring>

#include "checkpoint/weight_source.hpp"
#include "expect_error.hpp"
#include "models.hpp"
#include "nibble/evaluate.hpp"

namespace nibble {

using test::fails;
using testing::Each;
using testing::FloatNear;
using testing::Pointwise;

namespace {

using Rows = std::vector<std::vector<int64_t>>;

class NibLogits : public testing::Test {
 protected:
  static constexpr int64_t kVocab = 2048;

  /// Row `row`, place `place` of logits [rows, tokens, vocab].
  static std::vector<float> at(const Tensor& logits, int64_t row, int64_t place, size_t count = kVocab) {
    auto values = logits.as<float>().subspan(static_cast<size_t>((row * logits.shape()[1] + place) * kVocab), count);
    return {values.begin(), values.end()};
  }

  const nlohmann::json reference_ = test::nib_reference();
  const Rows rows_ = reference_["rows"].get<Rows>();
  LanguageModel model_{test::nib(), {}, test::exact(), test::two_threads()};
};

}  // namespace

TEST_F(NibLogits, AreThoseOfTransformers) {
  Tensor logits = model_.logits({rows_[0]});
  ASSERT_EQ(logits.shape(), (Shape{1, static_cast<int64_t>(rows_[0].size()), kVocab}));
  for (size_t i = 0; i < rows_[0].size(); ++i) {
    auto expected = reference_["logits"][i].get<std::vector<float>>();
    EXPECT_THAT(at(logits, 0, static_cast<int64_t>(i), expected.size()), Pointwise(FloatNear(1e-4f), expected)) << i;
  }
}

TEST_F(NibLogits, ShorterRowsArePaddedOnTheLeftAsTransformersDoes) {
  Tensor logits = model_.logits(rows_);
  int64_t length = logits.shape()[1];
  for (int64_t row = 0; row < 2; ++row) {
    auto expected = reference_["padded"][static_cast<size_t>(row)].get<std::vector<float>>();
    EXPECT_THAT(at(logits, row, length - 1, expected.size()), Pointwise(FloatNear(1e-4f), expected)) << row;
  }
}

TEST_F(NibLogits, PaddingDoesNotMatterAndGetsZeros) {
  Tensor alone = model_.logits({rows_[1]}), padded = model_.logits(rows_, {}, 17);
  int64_t padding = padded.shape()[1] - alone.shape()[1];
  for (int64_t i = 0; i < padding; ++i) EXPECT_THAT(at(padded, 1, i), Each(0.0f)) << i;
  for (int64_t i = 0; i < alone.shape()[1]; ++i) EXPECT_THAT(at(padded, 1, padding + i), Pointwise(FloatNear(1e-4f), at(alone, 0, i))) << i;
}

TEST_F(NibLogits, ChunksThroughTheCacheGiveTheSame) {
  Tensor whole = model_.logits(rows_);
  for (const auto& chunks : Rows{{9, 1}, {1, 2, 3, 4}, std::vector<int64_t>(10, 1)}) {
    Tensor parts = model_.logits(rows_, chunks);
    ASSERT_EQ(parts.shape(), whole.shape());
    EXPECT_THAT(std::vector<float>(parts.as<float>().begin(), parts.as<float>().end()), Pointwise(FloatNear(1e-4f), whole.as<float>()));
  }
}

TEST_F(NibLogits, EachCallStartsFromAnEmptyCache) {
  Tensor first = model_.logits({rows_[0]});
  model_.logits({rows_[1]});
  EXPECT_THAT(model_.logits({rows_[0]}).as<float>(), testing::ElementsAreArray(first.as<float>().begin(), first.as<float>().end()));
}

TEST_F(NibLogits, ChunksMustAddUp) {
  for (const auto& chunks : Rows{{9}, {9, 2}, {10, 0}, {11, -1}})
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"chunks", "10 tokens"}, [&] { model_.logits({rows_[0]}, chunks); }));
}

TEST_F(NibLogits, RowsNeedTokens) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"no tokens"}, [&] { model_.logits({}); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"no tokens"}, [&] { model_.logits({{}}); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"empty"}, [&] { model_.logits({{1, 2}, {}}); }));
}

TEST_F(NibLogits, TokensBeyondTheVocabularyAreRejected) {
  for (int64_t id : {int64_t{2048}, int64_t{-5000}}) EXPECT_THROW(model_.logits({{1, id}}), Error) << id;
  EXPECT_NO_THROW(model_.logits({rows_[0]})) << "the model still works";
}

TEST(LanguageModel, MissingModelsAreNamed) {
  test::ScratchDirectory empty;
  EXPECT_TRUE(fails(ErrorKind::not_found, {"no-such-model"}, [] { LanguageModel("no-such-model"); }));
  EXPECT_TRUE(
      fails(ErrorKind::not_found, {empty.path().string(), "openvino_model.xml", "config.json"}, [&] { LanguageModel(empty.path()); }));
}

TEST(LanguageModel, UnknownDevicesAreNamedWithTheKnownOnes) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"TOASTER", default_device()}, [] { LanguageModel(test::nib(), "TOASTER"); }));
}

TEST(LanguageModel, UnknownPropertiesAreNamed) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"TOAST_LEVEL"}, [] { LanguageModel(test::nib(), {}, {{"TOAST_LEVEL", "3"}}); }));
}

TEST(SaveSafetensors, CanBeReadBack) {
  test::ScratchDirectory scratch;
  std::vector<float> values{1, 2, 3, 4, 5, 6};
  save_safetensors(scratch / "t.safetensors", {{"logits", Tensor::from<float>({1, 2, 3}, values)}});
  Tensor read = open_safetensors(scratch / "t.safetensors")->get("logits");
  EXPECT_EQ(read.type(), ElementType::f32);
  EXPECT_EQ(read.shape(), (Shape{1, 2, 3}));
  EXPECT_EQ(std::memcmp(read.data(), values.data(), 6 * sizeof(float)), 0);
}

}  // namespace nibble
