#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "graph/op_cases.hpp"
#include "nibble/error.hpp"
#include "tensor/convert.hpp"

namespace nibble {
namespace {

using test::OpCase;
using test::run_op;
using testing::Each;
using testing::ElementsAre;

class Matmul : public testing::TestWithParam<OpCase> {};

TEST_P(Matmul, MatchesReference) { test::check_case(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Cases, Matmul, testing::ValuesIn(test::load_cases("matmul_cases.json")), test::case_name);

PartialShape inferred(std::string_view type, const std::vector<PartialShape>& shapes, Attributes attributes = {}) {
  Graph graph;
  std::vector<Value> inputs;
  for (const auto& shape : shapes)
    inputs.push_back(graph.add_parameter(ElementType::f32, shape, "input_" + std::to_string(inputs.size())).output());
  return graph.add(type, inputs, std::move(attributes)).output().shape();
}

TEST(MatmulInference, DynamicDimensionsPassThrough) {
  EXPECT_EQ(inferred("MatMul", {{-1, -1, 64}, {128, 64}}, {{"transpose_b", "true"}}), (PartialShape{-1, -1, 128}));
  EXPECT_EQ(inferred("MatMul", {{-1, 4, 2, 3}, {1, -1, 3, 5}}), (PartialShape{-1, 4, 2, 5}));
  EXPECT_EQ(inferred("MatMul", {{}, {128, 64}}), PartialShape());
  EXPECT_EQ(inferred("MatMul", {{3}, {3}}), PartialShape(Shape{}));
}

TEST(MatmulInference, RejectsWhatCannotBeMultiplied) {
  EXPECT_THROW(inferred("MatMul", {{2, 3}, {4, 5}}), Error);
  EXPECT_THROW(inferred("MatMul", {{2, 4, 3}, {3, 3, 5}}), Error);
  EXPECT_THROW(inferred("MatMul", {PartialShape(Shape{}), {3, 5}}), Error);
}

TEST(EinsumInference, RejectsEquationsThatDoNotFit) {
  for (auto equation : {"ij,jk->ik", "ij->ijk", "ij->ii", "i", "i.j->i", "...i...->i", "", "ij->k", "ij-", "...ijk->i"})
    EXPECT_THROW(inferred("Einsum", {{2, 3}}, {{"equation", equation}}), Error) << equation;
  EXPECT_THROW(inferred("Einsum", {{2, 3}, {4, 5}}, {{"equation", "ij,jk->ik"}}), Error);
}

TEST(EinsumInference, DynamicDimensionsPassThrough) {
  EXPECT_EQ(inferred("Einsum", {{-1, 3}, {3, -1}}, {{"equation", "ij,jk->ki"}}), (PartialShape{-1, -1}));
  EXPECT_EQ(inferred("Einsum", {{-1, 3}, {}}, {{"equation", "ij,jk->ki"}}), PartialShape());
}

TEST(AttentionInference, DynamicDimensionsPassThrough) {
  EXPECT_EQ(inferred("ScaledDotProductAttention", {{-1, 8, -1, 64}, {-1, 8, -1, 64}, {-1, 8, -1, 32}}), (PartialShape{-1, 8, -1, 32}));
  EXPECT_EQ(inferred("ScaledDotProductAttention", {{2, 8, 4, 64}, {2, 1, 5, 64}, {2, 8, 5, 64}, {1, 1, -1, 5}}),
            (PartialShape{2, 8, 4, 64}));
}

TEST(AttentionInference, RejectsContradictions) {
  EXPECT_THROW(inferred("ScaledDotProductAttention", {{2, 4, 8}, {2, 5, 7}, {2, 5, 8}}), Error);
  EXPECT_THROW(inferred("ScaledDotProductAttention", {{2, 4, 8}, {2, 5, 8}, {2, 6, 8}}), Error);
  EXPECT_THROW(inferred("ScaledDotProductAttention", {{2, 4, 8}, {2, 5, 8}, {2, 5, 8}, {3, 4, 5}}), Error);
  EXPECT_THROW(inferred("ScaledDotProductAttention", {{8}, {8}, {8}}), Error);
}

Tensor random_floats(const Shape& shape, uint32_t seed) {
  std::mt19937 random(seed);
  Tensor out(ElementType::f32, shape);
  std::uniform_real_distribution<float> values(-1, 1);
  for (float& value : out.as_mutable<float>()) value = values(random);
  return out;
}

/// a [rows, depth] times the transpose of b [columns, depth], in double.
std::vector<double> product(const Tensor& a, const Tensor& b) {
  auto rows = static_cast<size_t>(a.shape()[0]), columns = static_cast<size_t>(b.shape()[0]), depth = static_cast<size_t>(a.shape()[1]);
  std::vector<double> out(rows * columns, 0.0);
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j)
      for (size_t k = 0; k < depth; ++k) out[i * columns + j] += double{a.as<float>()[i * depth + k]} * b.as<float>()[j * depth + k];
  return out;
}

TEST(MatmulEvaluate, SizesThatDoNotFillBlocks) {
  for (Shape size : {Shape{1, 1, 1}, {1, 67, 7}, {33, 5, 9}, {34, 65, 31}, {3, 129, 64}, {70, 66, 17}}) {
    Tensor a = random_floats({size[0], size[2]}, 1), b = random_floats({size[1], size[2]}, 2);
    std::vector<float> got = to_floats(run_op("MatMul", {a, b}, {{"transpose_b", "true"}})[0]);
    EXPECT_THAT(got, testing::Pointwise(testing::DoubleNear(1e-4), product(a, b))) << to_string(size);
  }
}

TEST(MatmulEvaluate, ResultsDoNotDependOnTheNumberOfThreads) {
  Tensor a = random_floats({3, 50, 96}, 3), b = random_floats({96, 130}, 4);
  Graph graph;
  Value left = graph.add_parameter(ElementType::f32, a.shape(), "a").output();
  Value right = graph.add_parameter(ElementType::f32, b.shape(), "b").output();
  Node& node = graph.add("MatMul", {left, right});
  EXPECT_EQ(to_floats(test::evaluate(node, {a, b}, 1)[0]), to_floats(test::evaluate(node, {a, b}, 4)[0]));
}

TEST(MatmulEvaluate, LongIntegersAreExact) {
  int64_t big = (int64_t{1} << 53) + 1;
  Tensor a = Tensor::from<int64_t>({1, 2}, std::vector<int64_t>{big, 3}), b = Tensor::from<int64_t>({2, 1}, std::vector<int64_t>{1, 5});
  EXPECT_THAT(to_int64s(run_op("MatMul", {a, b})[0]), ElementsAre(big + 15));
}

TEST(AttentionEvaluate, ResultsDoNotDependOnTheNumberOfThreads) {
  Tensor q = random_floats({2, 4, 20, 16}, 5), k = random_floats({2, 1, 30, 16}, 6), v = random_floats({2, 1, 30, 16}, 7);
  Graph graph;
  std::vector<Value> inputs;
  for (const Tensor* tensor : {&q, &k, &v})
    inputs.push_back(graph.add_parameter(ElementType::f32, tensor->shape(), "input_" + std::to_string(inputs.size())).output());
  Node& node = graph.add("ScaledDotProductAttention", inputs);
  EXPECT_EQ(to_floats(test::evaluate(node, {q, k, v}, 1)[0]), to_floats(test::evaluate(node, {q, k, v}, 3)[0]));
}

TEST(AttentionEvaluate, RowsWithNothingToAttendToAreZero) {
  Tensor q = random_floats({1, 2, 4}, 8), k = random_floats({1, 3, 4}, 9);
  Tensor mask(ElementType::boolean, {2, 3});
  std::fill_n(mask.as_mutable<bool>().begin() + 3, 3, true);
  std::vector<float> got = to_floats(run_op("ScaledDotProductAttention", {q, k, k, mask})[0]);
  EXPECT_THAT(std::vector<float>(got.begin(), got.begin() + 4), Each(0.0f));
  EXPECT_THAT(std::vector<float>(got.begin() + 4, got.end()), testing::Contains(testing::Ne(0.0f)));
}

TEST(AttentionEvaluate, KeysThatAMaskForbidsCountAsMissing) {
  Tensor q = random_floats({1, 2, 8}, 14), k = random_floats({1, 40, 8}, 15), v = random_floats({1, 40, 8}, 16);
  auto head = [](const Tensor& all) {
    auto values = all.as<float>().first(size_t{21} * 8);
    return Tensor::from<float>({1, 21, 8}, std::vector<float>(values.begin(), values.end()));
  };
  std::vector<float> expected = to_floats(run_op("ScaledDotProductAttention", {q, head(k), head(v)})[0]);
  for (float forbidden : {-65504.0f, std::numeric_limits<float>::lowest(), -std::numeric_limits<float>::infinity()}) {
    Tensor mask(ElementType::f32, {1, 40});
    std::fill(mask.as_mutable<float>().begin() + 21, mask.as_mutable<float>().end(), forbidden);
    EXPECT_THAT(to_floats(run_op("ScaledDotProductAttention", {q, k, v, mask})[0]), testing::Pointwise(testing::FloatNear(1e-6f), expected))
        << forbidden;
  }
}

TEST(AttentionEvaluate, AFiniteMaskOverAllKeysLeavesTheirMean) {
  Tensor q = random_floats({1, 1, 2}, 17), k = random_floats({1, 3, 2}, 18);
  Tensor v = Tensor::from<float>({1, 3, 2}, std::vector<float>{1, 2, 4, 8, 4, 2});
  Tensor mask = Tensor::from<float>({1, 3}, std::vector<float>(3, std::numeric_limits<float>::lowest()));
  EXPECT_THAT(to_floats(run_op("ScaledDotProductAttention", {q, k, v, mask})[0]), ElementsAre(testing::FloatEq(3), testing::FloatEq(4)));
}

/// A sink of score s takes weight exp(s) from a softmax and gives nothing back: the same as one more key whose value is zero.
TEST(AttentionEvaluate, ASinkIsAKeyWithoutAValue) {
  Tensor q = random_floats({1, 2, 2, 4}, 10), k = random_floats({1, 2, 3, 4}, 11), v = random_floats({1, 2, 3, 4}, 12);
  Tensor mask(ElementType::f32, {}), scale = Tensor::scalar(0.5f);
  Tensor sink = Tensor::from<float>({1, 2, 1, 1}, std::vector<float>{0.3f, -0.7f});
  std::vector<float> with_sink = to_floats(run_op("ScaledDotProductAttention", {q, k, v, mask, scale, sink})[0]);

  Tensor k_more(ElementType::f32, {1, 2, 4, 4}), v_more(ElementType::f32, {1, 2, 4, 4}), bias(ElementType::f32, {1, 2, 1, 4});
  for (size_t head = 0; head < 2; ++head) {
    std::copy_n(k.as<float>().begin() + head * 12, 12, k_more.as_mutable<float>().begin() + head * 16);
    std::copy_n(v.as<float>().begin() + head * 12, 12, v_more.as_mutable<float>().begin() + head * 16);
    bias.as_mutable<float>()[head * 4 + 3] = sink.as<float>()[head];
  }
  std::vector<float> with_key = to_floats(run_op("ScaledDotProductAttention", {q, k_more, v_more, bias, scale})[0]);
  EXPECT_THAT(with_sink, testing::Pointwise(testing::FloatNear(1e-6f), with_key));
}

TEST(AttentionEvaluate, NoKeysGiveZeros) {
  Tensor q = random_floats({1, 2, 4}, 13), none(ElementType::f32, {1, 0, 4});
  EXPECT_THAT(to_floats(run_op("ScaledDotProductAttention", {q, none, none})[0]), Each(0.0f));
}

}  // namespace
}  // namespace nibble
