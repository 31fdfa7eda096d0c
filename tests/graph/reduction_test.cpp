#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/op_cases.hpp"
#include "nibble/error.hpp"
#include "tensor/convert.hpp"

namespace nibble {
namespace {

using test::OpCase;
using test::run_op;
using testing::ElementsAre;

class Reduction : public testing::TestWithParam<OpCase> {};

TEST_P(Reduction, MatchesReference) { test::check_case(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Cases, Reduction, testing::ValuesIn(test::load_cases("reduction_cases.json")), test::case_name);

template <class T>
Tensor vector(std::vector<T> values) {
  return Tensor::from<T>({static_cast<int64_t>(values.size())}, values);
}

/// Adds `type` to a Parameter of this shape and a constant list.
Node& add_with_list(Graph& graph, std::string_view type, const PartialShape& shape, std::vector<int64_t> list, Attributes attributes = {}) {
  Value data = graph.add_parameter(ElementType::f32, shape, "data").output();
  return graph.add(type, {data, graph.add_constant(vector(std::move(list))).output()}, std::move(attributes));
}

TEST(ReductionInference, ConstantAxesGiveTheShape) {
  Graph graph;
  EXPECT_EQ(add_with_list(graph, "ReduceMean", {-1, 3, 4}, {-1}, {{"keep_dims", "true"}}).output().shape(), (PartialShape{-1, 3, 1}));
  EXPECT_EQ(add_with_list(graph, "ReduceMean", {-1, 3, 4}, {1}).output().shape(), (PartialShape{-1, 4}));
}

TEST(ReductionInference, UnknownAxesKeepOnlyTheRank) {
  Graph graph;
  Value data = graph.add_parameter(ElementType::f32, {2, 3}, "data").output();
  Value axes = graph.add_parameter(ElementType::i64, {1}, "axes").output();
  EXPECT_EQ(graph.add("ReduceSum", {data, axes}, {{"keep_dims", "true"}}).output().shape(), (PartialShape{-1, -1}));
  EXPECT_FALSE(graph.add("ReduceSum", {data, axes}).output().shape().rank_is_known());
}

TEST(ReductionInference, RejectsAxesOutsideTheRankOrRepeated) {
  Graph graph;
  EXPECT_THROW(add_with_list(graph, "ReduceMax", {2, 3}, {2}), Error);
  EXPECT_THROW(add_with_list(graph, "ReduceMax", {2, 3}, {1, -1}), Error);
  EXPECT_THROW(add_with_list(graph, "MVN", {2, 3}, {-3}), Error);
  Value data = graph.add_parameter(ElementType::f32, {2, 3}, "data").output();
  EXPECT_THROW(graph.add("Softmax", {data}, {{"axis", "2"}}), Error);
}

TEST(ReductionInference, TopKShrinksItsAxis) {
  Graph graph;
  Value data = graph.add_parameter(ElementType::f32, {-1, 8}, "data").output();
  Value k = graph.add_constant(Tensor::scalar<int64_t>(2)).output();
  Node& node = graph.add("TopK", {data, k}, {{"axis", "-1"}, {"mode", "max"}, {"sort", "value"}, {"index_element_type", "i64"}});
  EXPECT_EQ(node.output_info(0).shape, (PartialShape{-1, 2}));
  EXPECT_EQ(node.output_info(1).shape, (PartialShape{-1, 2}));
  EXPECT_EQ(node.output_info(1).type, ElementType::i64);
}

TEST(ReductionInference, TopKRejectsMoreThanThereIs) {
  Graph graph;
  Value data = graph.add_parameter(ElementType::f32, {8}, "data").output();
  Value k = graph.add_constant(Tensor::scalar<int64_t>(9)).output();
  EXPECT_THROW(graph.add("TopK", {data, k}, {{"axis", "0"}}), Error);
}

TEST(ReductionInference, GroupsMustDivideTheChannels) {
  Graph graph;
  Value data = graph.add_parameter(ElementType::f32, {1, 6, 4}, "data").output();
  Value channels = graph.add_parameter(ElementType::f32, {6}, "channels").output();
  EXPECT_THROW(graph.add("GroupNormalization", {data, channels, channels}, {{"num_groups", "4"}}), Error);
  EXPECT_THROW(graph.add("GroupNormalization", {data, channels, channels}, {{"num_groups", "0"}}), Error);
}

TEST(ReductionEvaluate, SumsOfManyValuesStayAccurate) {
  std::vector<float> values(1 << 20, 0.1f);
  float sum = to_floats(run_op("ReduceSum", {vector(values), vector<int64_t>({0})})[0])[0];
  EXPECT_NEAR(sum, 0.1f * (1 << 20), 0.02);
}

TEST(ReductionEvaluate, NothingReducesToTheNeutralElement) {
  Tensor none(ElementType::f32, {2, 0});
  Tensor axes = vector<int64_t>({1});
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(to_floats(run_op("ReduceSum", {none, axes})[0]), ElementsAre(0, 0));
  EXPECT_THAT(to_floats(run_op("ReduceProd", {none, axes})[0]), ElementsAre(1, 1));
  EXPECT_THAT(to_floats(run_op("ReduceMax", {none, axes})[0]), ElementsAre(-kInfinity, -kInfinity));
  EXPECT_THAT(to_int64s(run_op("ReduceMean", {Tensor(ElementType::i32, {2, 0}), axes})[0]), ElementsAre(0, 0));
}

TEST(ReductionEvaluate, LongSumsAreExact) {
  Tensor values = vector<int64_t>({(int64_t{1} << 53) + 1, 1, 1});
  EXPECT_THAT(to_int64s(run_op("ReduceSum", {values, vector<int64_t>({0})})[0]), ElementsAre((int64_t{1} << 53) + 3));
}

TEST(ReductionEvaluate, TopKPutsNotANumberLast) {
  Tensor values = vector<float>({std::nanf(""), 1, std::nanf(""), 3, 2});
  auto outputs = run_op("TopK", {values, Tensor::scalar<int64_t>(4)}, {{"axis", "0"}, {"mode", "max"}, {"sort", "value"}});
  EXPECT_THAT(to_int64s(outputs[1]), ElementsAre(3, 4, 1, 0));
}

TEST(ReductionEvaluate, RuntimeArgumentsAreChecked) {
  Tensor data = vector<float>({1, 2});
  EXPECT_THROW(run_op("ReduceSum", {data, vector<int64_t>({1})}), Error);
  EXPECT_THROW(run_op("CumSum", {data, Tensor::scalar<int64_t>(-2)}), Error);
  EXPECT_THROW(run_op("TopK", {data, Tensor::scalar<int64_t>(-1)}, {{"axis", "0"}}), Error);
  EXPECT_THROW(run_op("TopK", {data, Tensor::scalar<int64_t>(3)}, {{"axis", "0"}}), Error);
}

}  // namespace
}  // namespace nibble
