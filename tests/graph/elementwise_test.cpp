#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "graph/op_cases.hpp"
#include "nibble/error.hpp"
#include "tensor/convert.hpp"

namespace nibble {
namespace {

using test::OpCase;
using test::run_op;
using testing::ElementsAre;

class Elementwise : public testing::TestWithParam<OpCase> {};

TEST_P(Elementwise, MatchesReference) { test::check_case(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Cases, Elementwise, testing::ValuesIn(test::load_cases("elementwise_cases.json")), test::case_name);

template <class T>
Tensor vector(std::vector<T> values) {
  return Tensor::from<T>({static_cast<int64_t>(values.size())}, values);
}

PartialShape inferred(std::string_view type, const PartialShape& a, const PartialShape& b, Attributes attributes = {}) {
  Graph graph;
  Value left = graph.add_parameter(ElementType::f32, a, "a").output();
  Value right = graph.add_parameter(ElementType::f32, b, "b").output();
  return graph.add(type, {left, right}, std::move(attributes)).output().shape();
}

TEST(ElementwiseInference, BroadcastsDynamicDimensions) {
  EXPECT_EQ(inferred("Add", {-1, 4, 1}, {3, 1, -1}), (PartialShape{3, 4, -1}));
  EXPECT_EQ(inferred("Add", {-1, 1}, {1, 5}), (PartialShape{-1, 5}));
  EXPECT_EQ(inferred("Add", {-1, 8}, {}), PartialShape());
  EXPECT_EQ(inferred("Add", {2, 3}, PartialShape(Shape{})), (PartialShape{2, 3}));
}

TEST(ElementwiseInference, RejectsShapesThatCannotBeBroadcast) {
  EXPECT_THROW(inferred("Multiply", {2, 3}, {2, 4}), Error);
  EXPECT_THROW(inferred("Multiply", {2, 3}, {1, 3}, {{"auto_broadcast", "none"}}), Error);
  EXPECT_THROW(inferred("Multiply", {2, 3, 4}, {3, 4, 5}, {{"auto_broadcast", "pdpd"}, {"axis", "1"}}), Error);
  EXPECT_THROW(inferred("Multiply", {2, 3}, {3}, {{"auto_broadcast", "pdpd"}, {"axis", "9223372036854775807"}}), Error);
  EXPECT_THROW(inferred("Multiply", {2}, {2}, {{"auto_broadcast", "sideways"}}), Error);
}

TEST(ElementwiseInference, RejectsDifferentTypes) {
  Graph graph;
  Value a = graph.add_parameter(ElementType::f32, {2}, "a").output();
  Value b = graph.add_parameter(ElementType::i32, {2}, "b").output();
  EXPECT_THROW(graph.add("Add", {a, b}), Error);
  EXPECT_THROW(graph.add("Equal", {a, b}), Error);
  EXPECT_THROW(graph.add("Select", {a, b, b}), Error);
}

TEST(ElementwiseInference, ConvertNeedsADestination) {
  Graph graph;
  Value a = graph.add_parameter(ElementType::f32, {2}, "a").output();
  EXPECT_THROW(graph.add("Convert", {a}), Error);
  EXPECT_EQ(graph.add("Convert", {a}, {{"destination_type", "i64"}}).output().type(), ElementType::i64);
}

TEST(ElementwiseInference, ClampRejectsEmptyRange) {
  Graph graph;
  Value a = graph.add_parameter(ElementType::f32, {2}, "a").output();
  EXPECT_THROW(graph.add("Clamp", {a}, {{"min", "2"}, {"max", "1"}}), Error);
  EXPECT_THROW(graph.add("Clamp", {a}, {{"min", "nan"}, {"max", "1"}}), Error);
}

TEST(ElementwiseEvaluate, IntegerDivisionByZeroIsAnError) {
  for (auto type : {"Divide", "Mod", "FloorMod"}) EXPECT_THROW(run_op(type, {vector<int32_t>({1}), vector<int32_t>({0})}), Error) << type;
}

TEST(ElementwiseEvaluate, LeastIntegerByMinusOneWraps) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  Tensor least = vector<int64_t>({kLeast}), minus_one = vector<int64_t>({-1});
  EXPECT_THAT(to_int64s(run_op("Divide", {least, minus_one})[0]), ElementsAre(kLeast));
  EXPECT_THAT(to_int64s(run_op("Mod", {least, minus_one})[0]), ElementsAre(0));
  EXPECT_THAT(to_int64s(run_op("Negative", {least})[0]), ElementsAre(kLeast));
  EXPECT_THAT(to_int64s(run_op("Abs", {least})[0]), ElementsAre(kLeast));
}

TEST(ElementwiseEvaluate, IntegersWrapInTheirType) {
  EXPECT_THAT(to_int64s(run_op("Add", {vector<int8_t>({127}), vector<int8_t>({1})})[0]), ElementsAre(-128));
  EXPECT_THAT(to_int64s(run_op("Subtract", {vector<uint8_t>({3}), vector<uint8_t>({5})})[0]), ElementsAre(254));
  EXPECT_THAT(to_int64s(run_op("Multiply", {vector<int32_t>({65536}), vector<int32_t>({65536})})[0]), ElementsAre(0));
}

TEST(ElementwiseEvaluate, IntegerPowerIsExact) {
  Tensor base = vector<int64_t>({3, -2, 2, -1, 0, 5}), exponent = vector<int64_t>({39, 63, -1, -3, 0, 1});
  EXPECT_THAT(to_int64s(run_op("Power", {base, exponent})[0]),
              ElementsAre(4052555153018976267, std::numeric_limits<int64_t>::min(), 0, -1, 1, 5));
}

TEST(ElementwiseEvaluate, LargeUnsignedComparesAsUnsigned) {
  constexpr uint64_t kLarge = uint64_t{1} << 63;
  Tensor a = vector<uint64_t>({kLarge, 1}), b = vector<uint64_t>({1, kLarge});
  EXPECT_THAT(to_int64s(run_op("Greater", {a, b})[0]), ElementsAre(1, 0));
  EXPECT_THAT(run_op("Maximum", {a, b})[0].as<uint64_t>(), ElementsAre(kLarge, kLarge));
  EXPECT_THAT(run_op("Divide", {a, vector<uint64_t>({2})})[0].as<uint64_t>(), ElementsAre(kLarge / 2, 0));
}

TEST(ElementwiseEvaluate, DoublesKeepTheirPrecision) {
  Tensor sum = run_op("Add", {vector<double>({1.0}), vector<double>({1e-12})})[0];
  EXPECT_EQ(sum.as<double>()[0], 1.0 + 1e-12);
}

TEST(ElementwiseEvaluate, BfloatIsComputedInFloatAndRounded) {
  Tensor a = convert(vector<float>({256.0f, 1.0f}), ElementType::bf16), b = convert(vector<float>({1.0f, 0.0078125f}), ElementType::bf16);
  Tensor sum = run_op("Add", {a, b})[0];
  EXPECT_EQ(sum.type(), ElementType::bf16);
  EXPECT_THAT(to_floats(sum), ElementsAre(256.0f, 1.0078125f));
}

TEST(ElementwiseEvaluate, WeightsOfFourBitsDequantize) {
  Tensor codes(ElementType::u4, {2, 3, 2}), zero(ElementType::u4, {2, 3, 1});
  pack_from_int64(ElementType::u4, std::vector<int64_t>{0, 15, 8, 7, 1, 2, 3, 4, 5, 6, 9, 10}, codes.mutable_data(), 0);
  pack_from_int64(ElementType::u4, std::vector<int64_t>{8, 7, 0, 1, 2, 3}, zero.mutable_data(), 0);
  Attributes to_half{{"destination_type", "f16"}};
  Tensor centred = run_op("Subtract", {run_op("Convert", {codes}, to_half)[0], run_op("Convert", {zero}, to_half)[0]})[0];
  EXPECT_THAT(to_floats(centred), ElementsAre(-8, 7, 1, 0, 1, 2, 2, 3, 3, 4, 6, 7));
}

TEST(ElementwiseEvaluate, AnyByteButZeroIsTrue) {
  Tensor flags(ElementType::boolean, {3});
  flags.mutable_data()[1] = std::byte{1};
  flags.mutable_data()[2] = std::byte{2};
  EXPECT_THAT(to_int64s(run_op("LogicalNot", {flags})[0]), ElementsAre(1, 0, 0));
  EXPECT_THAT(to_int64s(run_op("LogicalAnd", {flags, flags})[0]), ElementsAre(0, 1, 1));
  EXPECT_THAT(to_int64s(run_op("Select", {flags, vector<int32_t>({1, 2, 3}), vector<int32_t>({4, 5, 6})})[0]), ElementsAre(4, 2, 3));
}

TEST(ElementwiseEvaluate, TooLargeAResultIsRefused) {
  Tensor row(ElementType::f32, {1, 1 << 20}), column(ElementType::f32, {1 << 20, 1});
  EXPECT_THROW(run_op("Add", {row, column}), Error);
}

TEST(ElementwiseEvaluate, TranscendentalsOfIntegersAreRefused) { EXPECT_THROW(run_op("Exp", {vector<int32_t>({1})}), Error); }

/// The plain meaning of numpy broadcasting, index by index.
std::vector<float> add_by_index(const Tensor& a, const Tensor& b, const Shape& shape) {
  std::vector<float> out(element_count(shape));
  auto at = [&](const Tensor& tensor, size_t flat) {
    size_t offset = 0, stride = 1;
    for (size_t back = 1; back <= shape.size(); ++back) {
      auto dim = static_cast<size_t>(shape[shape.size() - back]);
      size_t index = flat % dim;
      flat /= dim;
      if (back > tensor.rank()) continue;
      auto own = static_cast<size_t>(tensor.shape()[tensor.rank() - back]);
      offset += own == 1 ? 0 : index * stride;
      stride *= own;
    }
    return tensor.as<float>()[offset];
  };
  for (size_t i = 0; i < out.size(); ++i) out[i] = at(a, i) + at(b, i);
  return out;
}

Tensor random_floats(const Shape& shape, std::mt19937& random) {
  Tensor out(ElementType::f32, shape);
  std::uniform_real_distribution<float> values(-1, 1);
  for (float& value : out.as_mutable<float>()) value = values(random);
  return out;
}

TEST(ElementwiseEvaluate, EveryBroadcastPatternOfFourDimensions) {
  std::mt19937 random(7);
  Shape full{2, 3, 4, 5};
  for (unsigned pattern = 0; pattern < 256; ++pattern) {
    Shape left = full, right = full, shape = full;
    for (size_t d = 0; d < 4; ++d) {
      if (pattern >> d & 1) left[d] = 1;
      if (pattern >> (4 + d) & 1) right[d] = 1;
      shape[d] = std::max(left[d], right[d]);
    }
    Tensor a = random_floats(left, random), b = random_floats(right, random);
    EXPECT_EQ(to_floats(run_op("Add", {a, b})[0]), add_by_index(a, b, shape)) << "pattern " << pattern;
  }
}

}  // namespace
}  // namespace nibble
