#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/graph.hpp"
#include "graph/op_set.hpp"
#include "graph/partial_integers.hpp"

namespace nibble::test {
namespace {

using testing::ElementsAre;
using State = PartialInteger::State;

/// A graph to build shape arithmetic in: x is f32 [?,8,?,4], ids is i64 [3].
struct ShapeArithmetic {
  Graph graph;
  Value x = graph.add_parameter(ElementType::f32, {kDynamic, 8, kDynamic, 4}, "x").output();
  Value ids = graph.add_parameter(ElementType::i64, {3}, "ids").output();

  Value list(std::vector<int64_t> values) {
    Shape shape{static_cast<int64_t>(values.size())};
    return graph.add_constant(Tensor::from<int64_t>(shape, values)).output();
  }
  Value scalar(int64_t value) { return graph.add_constant(Tensor::scalar<int64_t>(value)).output(); }
  Value add(std::string_view type, std::vector<Value> inputs, Attributes attributes = {}) {
    return graph.add(type, std::move(inputs), std::move(attributes)).output();
  }
  Value shape_of_x() { return add("ShapeOf", {x}, {{"output_type", "i64"}}); }
  /// Dimension `i` of x as a list of one element.
  Value dim(int64_t i) { return add("Gather", {shape_of_x(), list({i}), scalar(0)}, {{"batch_dims", "0"}}); }
};

std::vector<int64_t> known(Value value) {
  auto values = known_integers(value);
  EXPECT_TRUE(values.has_value());
  return values.value_or(std::vector<int64_t>());
}

TEST(KnownIntegers, ReadsConstants) {
  ShapeArithmetic a;
  EXPECT_THAT(known(a.list({3, -1, 7})), ElementsAre(3, -1, 7));
}

TEST(KnownIntegers, MarksDynamicDimensions) {
  ShapeArithmetic a;
  EXPECT_THAT(known(a.shape_of_x()), ElementsAre(kDynamic, 8, kDynamic, 4));
}

TEST(KnownIntegers, KnowsNothingOfParameters) {
  ShapeArithmetic a;
  EXPECT_FALSE(known_integers(a.ids).has_value());
  EXPECT_FALSE(known_integers(a.add("Concat", {a.ids, a.dim(1)}, {{"axis", "0"}})).has_value());
}

TEST(KnownIntegers, ComputesWithDimensions) {
  ShapeArithmetic a;
  EXPECT_THAT(known(a.add("Add", {a.dim(1), a.list({2})})), ElementsAre(10));
  EXPECT_THAT(known(a.add("Subtract", {a.list({2}), a.dim(1)})), ElementsAre(-6));
  EXPECT_THAT(known(a.add("Multiply", {a.dim(1), a.dim(3)})), ElementsAre(32));
  EXPECT_THAT(known(a.add("Multiply", {a.dim(0), a.dim(3)})), ElementsAre(kDynamic));
  EXPECT_THAT(known(a.add("Multiply", {a.shape_of_x(), a.scalar(2)})), ElementsAre(kDynamic, 16, kDynamic, 8));
}

TEST(KnownIntegers, DividesTowardsMinusInfinityUnlessToldOtherwise) {
  ShapeArithmetic a;
  EXPECT_THAT(known(a.add("Divide", {a.list({-7}), a.list({2})}, {{"m_pythondiv", "true"}})), ElementsAre(-4));
  EXPECT_THAT(known(a.add("Divide", {a.list({-7}), a.list({2})}, {{"m_pythondiv", "false"}})), ElementsAre(-3));
}

TEST(KnownIntegers, DoesNotKnowWhatHasNoResult) {
  ShapeArithmetic a;
  EXPECT_FALSE(known_integers(a.add("Divide", {a.list({1}), a.list({0})})).has_value());
  EXPECT_FALSE(known_integers(a.add("Multiply", {a.list({INT64_MAX}), a.list({2})})).has_value());
  EXPECT_FALSE(known_integers(a.add("Add", {a.list({INT64_MAX}), a.list({1})})).has_value());
  EXPECT_FALSE(known_integers(a.add("Gather", {a.list({1, 2}), a.list({5}), a.scalar(0)})).has_value());
}

TEST(KnownIntegers, JoinsSlicesAndSplitsLists) {
  ShapeArithmetic a;
  Value joined = a.add("Concat", {a.dim(0), a.list({5, 6}), a.dim(3)}, {{"axis", "0"}});
  EXPECT_THAT(known(joined), ElementsAre(kDynamic, 5, 6, 4));
  EXPECT_THAT(known(a.add("Slice", {joined, a.list({-1}), a.list({0}), a.list({-2})})), ElementsAre(4, 5));
  EXPECT_THAT(known(a.add("StridedSlice", {joined, a.list({1}), a.list({0}), a.list({1})}, {{"begin_mask", "0"}, {"end_mask", "1"}})),
              ElementsAre(5, 6, 4));
  Value last = a.add("StridedSlice", {joined, a.list({-1}), a.list({0}), a.list({1})},
                     {{"begin_mask", "0"}, {"end_mask", "0"}, {"shrink_axis_mask", "1"}});
  EXPECT_THAT(known(last), ElementsAre(4));
  Node& split = a.graph.add("Split", {joined, a.scalar(0)}, {{"num_splits", "2"}});
  EXPECT_THAT(known(split.output(1)), ElementsAre(6, 4));
}

TEST(KnownIntegers, SeesThroughReshapesAndConversions) {
  ShapeArithmetic a;
  Value scalar = a.add("Squeeze", {a.dim(1), a.list({0})});
  EXPECT_THAT(known(scalar), ElementsAre(8));
  EXPECT_THAT(known(a.add("Unsqueeze", {scalar, a.scalar(0)})), ElementsAre(8));
  EXPECT_THAT(known(a.add("Reshape", {scalar, a.list({1})}, {{"special_zero", "false"}})), ElementsAre(8));
  EXPECT_THAT(known(a.add("Convert", {scalar}, {{"destination_type", "i32"}})), ElementsAre(8));
}

TEST(KnownIntegers, DoesNotKnowWhatNarrowingLoses) {
  ShapeArithmetic a;
  EXPECT_FALSE(known_integers(a.add("Convert", {a.list({INT64_MAX})}, {{"destination_type", "i32"}})).has_value());
}

TEST(KnownIntegers, MultipliesLists) {
  ShapeArithmetic a;
  EXPECT_THAT(known(a.add("ReduceProd", {a.list({2, 3, 4}), a.list({0})}, {{"keep_dims", "false"}})), ElementsAre(24));
  EXPECT_THAT(known(a.add("ReduceProd", {a.shape_of_x(), a.list({0})}, {{"keep_dims", "true"}})), ElementsAre(kDynamic));
}

TEST(KnownIntegers, ChoosesByComparison) {
  ShapeArithmetic a;
  Value target = a.list({4, -1});
  Value ones = a.add("Broadcast", {a.scalar(1), a.list({2})}, {{"mode", "numpy"}});
  EXPECT_THAT(known(a.add("Select", {a.add("Equal", {target, a.scalar(-1)}), ones, target})), ElementsAre(4, 1));
}

TEST(PartialIntegers, TellsMinusOneFromADynamicDimension) {
  ShapeArithmetic a;
  auto values = partial_integers(a.add("Concat", {a.dim(0), a.list({-1}), a.ids}, {{"axis", "0"}}));
  ASSERT_TRUE(values.has_value());
  ASSERT_EQ(values->size(), 5u);
  EXPECT_EQ((*values)[0].state, State::dimension);
  EXPECT_EQ((*values)[1], (PartialInteger{State::known, -1}));
  EXPECT_EQ((*values)[4].state, State::unknown);
}

TEST(PartialIntegers, IgnoresLongTensors) {
  ShapeArithmetic a;
  EXPECT_FALSE(partial_integers(a.list(std::vector<int64_t>(65, 1))).has_value());
}

TEST(PartialIntegers, GivesUpOnLongChains) {
  ShapeArithmetic a;
  Value value = a.dim(1);
  for (int i = 0; i < 1000; ++i) value = a.add("Add", {value, a.list({1})});
  auto values = partial_integers(value);
  ASSERT_TRUE(values.has_value());
  EXPECT_EQ(values->front().state, State::unknown);
}

/// Each node reads the one before twice: 2^5000 paths.
TEST(PartialIntegers, VisitsSharedNodesOnce) {
  ShapeArithmetic a;
  Value value = a.list({1});
  for (int i = 0; i < 5000; ++i) value = a.add("Multiply", {value, value});
  EXPECT_EQ(partial_integers(value)->size(), 1u);
}

TEST(PartialIntegers, GivesReshapeItsRank) {
  ShapeArithmetic a;
  Value pattern = a.add("Concat", {a.dim(0), a.list({-1, 32})}, {{"axis", "0"}});
  Value reshaped = a.add("Reshape", {a.x, pattern}, {{"special_zero", "false"}});
  EXPECT_EQ(to_string(reshaped.shape()), "?,?,32");
  Value by_ids = a.add("Reshape", {a.x, a.ids}, {{"special_zero", "false"}});
  EXPECT_EQ(to_string(by_ids.shape()), "?,?,?");
}

}  // namespace
}  // namespace nibble::test
