// Blocks of every type of ggml against the gguf package (make_gguf_types.py).
#include <gtest/gtest.h>

#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/samples.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

class GgufTypes : public ::testing::Test {
 protected:
  std::unique_ptr<WeightSource> weights = open_checkpoint(samples::data("gguf_types") / "model.gguf");
  std::unique_ptr<WeightSource> expected = open_safetensors(samples::data("gguf_types") / "expected.safetensors");

  std::vector<float> values(const std::string& name) const { return to_floats(expected->get(name)); }
  /// A row as its codes say: (code - zero point) * scale.
  static std::vector<float> row_of_codes(const EncodedMatrix& matrix, int64_t row);
};

std::vector<float> GgufTypes::row_of_codes(const EncodedMatrix& matrix, int64_t row) {
  const CodeGrid& grid = *matrix.grid();
  auto columns = static_cast<size_t>(matrix.shape().back()), group = static_cast<size_t>(grid.group_size);
  std::vector<uint8_t> codes(columns), zero_points(grid.has_zero_points ? columns / group : 0);
  std::vector<float> scales(columns / group), out;
  matrix.read_codes(row, codes, scales, zero_points);
  auto number = [&](uint8_t code) {
    Tensor one(grid.codes, {1});
    std::byte bits{code};
    std::vector<float> value(1);
    unpack_to_float(grid.codes, &bits, 0, value);
    return value[0];
  };
  for (size_t i = 0; i < columns; ++i)
    out.push_back((number(codes[i]) - (zero_points.empty() ? 0 : number(zero_points[i / group]))) * scales[i / group]);
  return out;
}

}  // namespace

TEST_F(GgufTypes, BlocksAreDecodedToTheSameBits) {
  int encoded = 0;
  for (const std::string& name : weights->names()) {
    auto matrix = weights->encoded(name);
    if (!matrix) continue;
    ++encoded;
    auto want = values(name);
    std::vector<float> got(want.size());
    auto columns = matrix->shape().back();
    for (int64_t row = 0; row < matrix->shape()[0]; ++row)
      matrix->read(row, 0, std::span(got).subspan(static_cast<size_t>(row * columns), static_cast<size_t>(columns)));
    EXPECT_EQ(got, want) << name;
  }
  EXPECT_EQ(encoded, 25);
}

TEST_F(GgufTypes, PiecesOfRowsMayBeginAnywhere) {
  for (const char* name : {"Q4_0", "Q6_K"}) {
    auto matrix = weights->encoded(name);
    auto want = values(name);
    auto columns = static_cast<size_t>(matrix->shape().back());
    for (auto [begin, size] : {std::pair<size_t, size_t>{5, 3}, {31, 60}, {32, 32}, {1, columns - 1}}) {
      std::vector<float> got(size);
      matrix->read(1, static_cast<int64_t>(begin), got);
      auto first = want.begin() + static_cast<std::ptrdiff_t>(columns + begin);
      EXPECT_EQ(got, std::vector<float>(first, first + static_cast<std::ptrdiff_t>(size))) << name << " from " << begin;
    }
  }
}

TEST_F(GgufTypes, CodesStandForTheSameNumbers) {
  for (const char* name : {"Q4_0", "Q4_1.steps", "Q5_0", "Q8_0", "IQ4_NL", "MXFP4"}) {
    auto matrix = weights->encoded(name);
    ASSERT_TRUE(matrix->grid()) << name;
    auto want = values(name), got = row_of_codes(*matrix, 0);
    auto second = row_of_codes(*matrix, 1);
    got.insert(got.end(), second.begin(), second.end());
    EXPECT_EQ(got, want) << name;
  }
}

TEST_F(GgufTypes, OthersHaveNoCodes) {
  for (const char* name : {"Q4_1", "Q5_1", "Q4_K", "Q6_K", "IQ2_S"}) EXPECT_FALSE(weights->encoded(name)->grid()) << name;
}

TEST_F(GgufTypes, PlainTensorsAreViews) {
  for (const char* name : {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"}) {
    EXPECT_FALSE(weights->encoded(name)) << name;
    EXPECT_EQ(weights->info(name).shape, (Shape{2, 5})) << name;
    EXPECT_EQ(to_floats(weights->get(name)), values(name)) << name;
  }
}

TEST_F(GgufTypes, GetDecodesAllOfATensor) {
  Tensor got = weights->get("Q5_1");
  EXPECT_EQ(got.type(), ElementType::f16);
  EXPECT_EQ(got.type(), weights->info("Q5_1").type);
  auto want = values("Q5_1"), all = to_floats(got);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(all[i], want[i], 0.001f * std::abs(want[i]) + 1e-7f);
}

}  // namespace nibble
