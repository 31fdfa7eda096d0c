#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/weight_source.hpp"
#include "command.hpp"

namespace nibble {

using test::nib;
using test::nibble;
using test::Outcome;
using testing::Each;
using testing::FloatNear;
using testing::Pointwise;

namespace {

constexpr int64_t kVocab = 2048;

class Logits : public testing::Test {
 protected:
  /// The logits that the command writes, checked to be f32 of this shape.
  std::vector<float> logits(const std::vector<std::string>& options, const Shape& shape) {
    std::vector<std::string> arguments{"logits", nib(), "--out", file()};
    for (const char* exact : {"INFERENCE_PRECISION_HINT=f32", "KV_CACHE_PRECISION=f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE=0"})
      arguments.insert(arguments.end(), {"--property", exact});
    arguments.insert(arguments.end(), options.begin(), options.end());
    Outcome run = nibble(arguments);
    EXPECT_EQ(run.code, 0) << run.err;
    auto source = open_safetensors(file());
    Tensor tensor = source->get("logits");
    EXPECT_EQ(tensor.type(), ElementType::f32);
    EXPECT_EQ(tensor.shape(), shape);
    std::vector<float> values(element_count(tensor.shape()));
    std::memcpy(values.data(), tensor.data(), values.size() * sizeof(float));
    return values;
  }
  std::string file() const { return scratch_ / "logits.safetensors"; }

  test::ScratchDirectory scratch_;
};

std::vector<float> row(const std::vector<float>& values, int64_t index) {
  return {values.begin() + index * kVocab, values.begin() + (index + 1) * kVocab};
}

}  // namespace

TEST_F(Logits, OfOneRow) {
  std::vector<float> values = logits({"--ids", "1,798,404"}, {1, 3, kVocab});
  std::vector<float> last = row(values, 2);
  EXPECT_EQ(std::max_element(last.begin(), last.end()) - last.begin(), 322) << "Once there |was";
}

TEST_F(Logits, RowsArePaddedOnTheLeft) {
  std::vector<float> padded = logits({"--ids", "1,798,404;1,798"}, {2, 3, kVocab}), alone = logits({"--ids", "1,798"}, {1, 2, kVocab});
  EXPECT_THAT(row(padded, 3), Each(0.0f));
  EXPECT_THAT(row(padded, 4), Pointwise(FloatNear(1e-4f), row(alone, 0)));
  EXPECT_THAT(row(padded, 5), Pointwise(FloatNear(1e-4f), row(alone, 1)));
}

TEST_F(Logits, ChunksGoThroughTheCache) {
  std::vector<float> whole = logits({"--ids", "1,798,404;1,798"}, {2, 3, kVocab});
  EXPECT_THAT(logits({"--ids", "1,798,404;1,798", "--chunks", "1,2"}, {2, 3, kVocab}), Pointwise(FloatNear(1e-4f), whole));
  EXPECT_THAT(logits({"--ids", "1,798,404;1,798", "--chunks", "1,1,1"}, {2, 3, kVocab}), Pointwise(FloatNear(1e-4f), whole));
}

TEST_F(Logits, ReportsAsJson) {
  auto document = nibble({"logits", nib(), "--out", file(), "--ids", "1,2", "--json"}).document();
  EXPECT_EQ(document["shape"], nlohmann::json({1, 2, kVocab}));
  EXPECT_EQ(document["out"], file());
  EXPECT_TRUE(document["device"].is_string());
}

TEST_F(Logits, FailuresLeaveNoFile) {
  Outcome run = nibble({"logits", nib(), "--out", file(), "--ids", "1,2,3", "--chunks", "1,1"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, testing::StartsWith("nibble: error: "));
  EXPECT_THAT(test::listing(scratch_.path()), testing::IsEmpty());
}

}  // namespace nibble
