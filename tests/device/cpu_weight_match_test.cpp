#include "device/cpu/weight_match.hpp"

#include <gtest/gtest.h>

#include <random>

#include "device/cpu/packed_format.hpp"
#include "weight_samples.hpp"

// Chains of operations that decompress weights, as NNCF and optimum write them, read back as what is stored.

namespace nibble::cpu {
namespace {

constexpr int64_t kRows = 6, kColumns = 64;

class WeightMatch : public testing::Test {
 protected:
  Value constant(ElementType type, Shape shape) {
    return graph_.add_constant(test::random_values(type, std::move(shape), random_)).output();
  }
  Value add(std::string_view type, std::vector<Value> inputs, Attributes attributes = {}) {
    return graph_.add(type, std::move(inputs), std::move(attributes)).output();
  }
  Value to(Value value, std::string_view type) { return add("Convert", {value}, {{"destination_type", std::string(type)}}); }
  Value reshaped(Value value, const std::vector<int64_t>& shape) {
    Value target = graph_.add_constant(Tensor::from<int64_t>({static_cast<int64_t>(shape.size())}, shape)).output();
    return add("Reshape", {value, target}, {{"special_zero", "false"}});
  }
  Value flat(Value value) { return reshaped(value, {kRows, kColumns}); }
  static Shape grouped(int64_t groups) { return {kRows, groups, kColumns / groups}; }
  static Shape per_group(int64_t groups) { return {kRows, groups, 1}; }

  /// What is matched, after a check that it stands for what the graph computes.
  WeightMatrix match(Value value) {
    graph_.add("Result", {value});
    ThreadPool threads(1);
    ConstantValues constants(graph_, threads);
    auto found = match_weight(value, constants);
    if (!found) {
      ADD_FAILURE() << "no match";
      return {};
    }
    std::vector<float> expected = constants.floats(value), weights = test::expected_weights(*found);
    EXPECT_EQ(weights.size(), expected.size());
    for (size_t i = 0; i < std::min(weights.size(), expected.size()); ++i)
      if (!(std::abs(weights[i] - expected[i]) <= 1e-6f * std::abs(expected[i]))) {
        ADD_FAILURE() << "weight " << i << " is " << weights[i] << ", not " << expected[i];
        break;
      }
    EXPECT_TRUE(can_pack(*found));
    return *found;
  }
  bool is_matched(Value value) {
    graph_.add("Result", {value});
    ThreadPool threads(1);
    ConstantValues constants(graph_, threads);
    return match_weight(value, constants).has_value();
  }
  /// Taken for floats: the chain is computed.
  void expect_computed(Value value) {
    WeightMatrix weight = match(value);
    EXPECT_TRUE(is_float(weight.codes.type())) << to_string(weight.codes.type());
    EXPECT_EQ(weight.scales.type(), ElementType::dynamic);
    EXPECT_EQ(weight.zero_points.type(), ElementType::dynamic);
    EXPECT_TRUE(weight.levels.empty());
    EXPECT_EQ(weight.group_size, weight.columns);
  }

  Graph graph_;
  std::mt19937 random_{1};
};

TEST_F(WeightMatch, U4WithZeroPointsInGroups) {
  Value codes = to(constant(ElementType::u4, grouped(4)), "f32"), zeros = to(constant(ElementType::u4, per_group(4)), "f32");
  WeightMatrix found = match(flat(add("Multiply", {add("Subtract", {codes, zeros}), constant(ElementType::f32, per_group(4))})));
  EXPECT_EQ(found.codes.type(), ElementType::u4);
  EXPECT_EQ(found.zero_points.type(), ElementType::u4);
  EXPECT_EQ(found.rows, 6u);
  EXPECT_EQ(found.columns, 64u);
  EXPECT_EQ(found.group_size, 16u);
}

TEST_F(WeightMatch, I4InGroupsWithScalesOfF16) {
  Value codes = to(constant(ElementType::i4, grouped(2)), "f32");
  WeightMatrix found = match(flat(add("Multiply", {codes, to(constant(ElementType::f16, per_group(2)), "f32")})));
  EXPECT_EQ(found.codes.type(), ElementType::i4);
  EXPECT_EQ(found.scales.type(), ElementType::f16);
  EXPECT_EQ(found.zero_points.type(), ElementType::dynamic);
  EXPECT_EQ(found.group_size, 32u);
}

TEST_F(WeightMatch, I8WithAScalePerRow) {
  Value codes = to(constant(ElementType::i8, {kRows, kColumns}), "f32");
  WeightMatrix found = match(add("Multiply", {codes, constant(ElementType::f32, {kRows, 1})}));
  EXPECT_EQ(found.codes.type(), ElementType::i8);
  EXPECT_EQ(found.group_size, 64u);
}

TEST_F(WeightMatch, U8WithZeroPointsPerRowAndTheScaleFirst) {
  Value codes = to(constant(ElementType::u8, {kRows, kColumns}), "f32"), zeros = to(constant(ElementType::u8, {kRows, 1}), "f32");
  WeightMatrix found = match(add("Multiply", {constant(ElementType::f32, {kRows, 1}), add("Subtract", {codes, zeros})}));
  EXPECT_EQ(found.codes.type(), ElementType::u8);
  EXPECT_EQ(found.zero_points.type(), ElementType::u8);
}

TEST_F(WeightMatch, OneZeroPointForAll) {
  Value codes = to(constant(ElementType::u4, grouped(4)), "f32"), zero = to(constant(ElementType::u4, {}), "f32");
  WeightMatrix found = match(flat(add("Multiply", {add("Subtract", {codes, zero}), constant(ElementType::f32, per_group(4))})));
  EXPECT_EQ(element_count(found.zero_points.shape()), 1u);
  EXPECT_EQ(found.group_size, 16u);
}

TEST_F(WeightMatch, OneScaleForAll) {
  WeightMatrix found = match(add("Multiply", {to(constant(ElementType::i8, {kRows, kColumns}), "f32"), constant(ElementType::f32, {1})}));
  EXPECT_EQ(found.codes.type(), ElementType::i8);
  EXPECT_EQ(element_count(found.scales.shape()), 1u);
}

TEST_F(WeightMatch, CodesWithoutScales) {
  EXPECT_EQ(match(to(constant(ElementType::i8, {kRows, kColumns}), "f32")).codes.type(), ElementType::i8);
}

TEST_F(WeightMatch, Nf4AndF8) {
  for (ElementType type : {ElementType::nf4, ElementType::f8e4m3, ElementType::f4e2m1}) {
    SCOPED_TRACE(to_string(type));
    WeightMatrix found = match(flat(add("Multiply", {to(constant(type, grouped(2)), "f32"), constant(ElementType::f32, per_group(2))})));
    EXPECT_EQ(found.codes.type(), type);
    EXPECT_EQ(found.group_size, 32u);
  }
}

TEST_F(WeightMatch, MxFp4) {
  Value codes = to(constant(ElementType::f4e2m1, grouped(2)), "f32");
  WeightMatrix found = match(flat(add("Multiply", {codes, to(constant(ElementType::f8e8m0, per_group(2)), "f32")})));
  EXPECT_EQ(found.codes.type(), ElementType::f4e2m1);
  EXPECT_EQ(found.scales.type(), ElementType::f8e8m0);
}

TEST_F(WeightMatch, ScalesThatAreMultipliedUp) {
  Value codes = to(constant(ElementType::f4e2m1, grouped(4)), "f32");
  Value scales = add("Multiply", {to(constant(ElementType::f8e4m3, per_group(4)), "f32"), constant(ElementType::f32, {})});
  WeightMatrix found = match(flat(add("Multiply", {codes, scales})));
  EXPECT_EQ(found.codes.type(), ElementType::f4e2m1);
  EXPECT_EQ(found.group_size, 16u);
}

TEST_F(WeightMatch, Codebooks) {
  std::vector<float> levels;
  for (int i = 0; i < 16; ++i) levels.push_back(static_cast<float>(i * i) / 10 - 3);
  Value table = graph_.add_constant(Tensor::from<float>({16}, levels)).output();
  Value axis = graph_.add_constant(Tensor::scalar<int64_t>(0)).output();
  for (const char* index : {"i32", "u8"}) {
    Value codes = add("Gather", {table, to(constant(ElementType::u4, grouped(2)), index), axis}, {{"batch_dims", "0"}});
    WeightMatrix found = match(flat(add("Multiply", {codes, constant(ElementType::f32, per_group(2))})));
    EXPECT_EQ(found.codes.type(), ElementType::u4);
    EXPECT_EQ(found.levels, levels);
  }
}

TEST_F(WeightMatch, PlainFloatsStayAsTheyAre) {
  for (ElementType type : {ElementType::f16, ElementType::bf16, ElementType::f32}) {
    WeightMatrix found = match(to(constant(type, {kRows, kColumns}), "f32"));
    EXPECT_EQ(found.codes.type(), type);
    EXPECT_EQ(found.scales.type(), ElementType::dynamic);
  }
}

TEST_F(WeightMatch, ExpertsAreRowsOfOneMatrix) {
  Value codes = to(constant(ElementType::u8, {3, kRows, kColumns}), "f32"), zeros = to(constant(ElementType::u8, {3, kRows, 1}), "f32");
  WeightMatrix found = match(add("Multiply", {add("Subtract", {codes, zeros}), constant(ElementType::f32, {3, kRows, 1})}));
  EXPECT_EQ(found.rows, 18u);
  EXPECT_EQ(found.columns, 64u);
  EXPECT_EQ(found.codes.type(), ElementType::u8);
}

TEST_F(WeightMatch, GroupsMayBeCutAcrossTheShapeOfTheCodes) {
  Value codes = to(constant(ElementType::u4, {2, 12, 16}), "f32");
  WeightMatrix found = match(flat(add("Multiply", {codes, constant(ElementType::f32, {2, 12, 1})})));
  EXPECT_EQ(found.codes.type(), ElementType::u4);
  EXPECT_EQ(found.group_size, 16u);
}

// What only looks like compressed weights.

TEST_F(WeightMatch, AChainInHalfPrecisionIsComputed) {
  Value codes = to(constant(ElementType::u8, {kRows, kColumns}), "f16"), zeros = to(constant(ElementType::u8, {kRows, 1}), "f16");
  Value weights = add("Multiply", {add("Subtract", {codes, zeros}), constant(ElementType::f16, {kRows, 1})});
  expect_computed(to(weights, "f32"));
}

TEST_F(WeightMatch, AProductRoundedToHalfPrecisionIsComputed) {
  Value weights = add("Multiply", {to(constant(ElementType::i8, {kRows, kColumns}), "f32"), constant(ElementType::f32, {kRows, 1})});
  expect_computed(to(to(weights, "f16"), "f32"));
}

TEST_F(WeightMatch, FloatsRoundedToHalfPrecisionAreComputed) {
  expect_computed(to(to(constant(ElementType::f32, {kRows, kColumns}), "f16"), "f32"));
}

TEST_F(WeightMatch, FloatsCutToIntegersAreComputed) {
  expect_computed(to(to(constant(ElementType::f32, {kRows, kColumns}), "i32"), "f32"));
}

TEST_F(WeightMatch, CodesOfAnotherSignAreComputed) {
  Value codes = to(to(constant(ElementType::u8, {kRows, kColumns}), "i8"), "f32");
  expect_computed(add("Multiply", {codes, constant(ElementType::f32, {kRows, 1})}));
}

TEST_F(WeightMatch, ScalesPerColumnAreComputed) {
  expect_computed(add("Multiply", {to(constant(ElementType::i8, {kRows, kColumns}), "f32"), constant(ElementType::f32, {1, kColumns})}));
}

TEST_F(WeightMatch, GroupsAlongTheRowsAreComputed) {
  Value codes = to(constant(ElementType::i8, {2, 3, kColumns}), "f32");
  expect_computed(flat(add("Multiply", {codes, constant(ElementType::f32, {2, 1, kColumns})})));
}

TEST_F(WeightMatch, ZeroPointsThatAreFloatsAreComputed) {
  Value codes = to(constant(ElementType::u4, grouped(4)), "f32");
  Value shifted = add("Subtract", {codes, constant(ElementType::f32, per_group(4))});
  expect_computed(flat(add("Multiply", {shifted, constant(ElementType::f32, per_group(4))})));
}

TEST_F(WeightMatch, ZeroPointsInOtherGroupsThanScalesAreComputed) {
  Value codes = to(constant(ElementType::u4, grouped(4)), "f32"), zeros = to(constant(ElementType::u4, {kRows, 1, 1}), "f32");
  expect_computed(flat(add("Multiply", {add("Subtract", {codes, zeros}), constant(ElementType::f32, per_group(4))})));
}

TEST_F(WeightMatch, TwoZeroPointsAreComputed) {
  Value codes = to(constant(ElementType::u8, {kRows, kColumns}), "f32");
  for (size_t i = 0; i < 2; ++i) codes = add("Subtract", {codes, to(constant(ElementType::u8, {kRows, 1}), "f32")});
  expect_computed(add("Multiply", {codes, constant(ElementType::f32, {kRows, 1})}));
}

TEST_F(WeightMatch, ZeroPointsOfACodebookAreComputed) {
  Value table = constant(ElementType::f32, {16}), axis = graph_.add_constant(Tensor::scalar<int64_t>(0)).output();
  Value codes = add("Gather", {table, to(constant(ElementType::u4, {kRows, kColumns}), "i32"), axis}, {{"batch_dims", "0"}});
  Value shifted = add("Subtract", {codes, to(constant(ElementType::u4, {kRows, 1}), "f32")});
  expect_computed(add("Multiply", {shifted, constant(ElementType::f32, {kRows, 1})}));
}

TEST_F(WeightMatch, DifferencesThatWrapAroundAreComputed) {
  Value shifted = add("Subtract", {constant(ElementType::u8, {kRows, kColumns}), constant(ElementType::u8, {kRows, 1})});
  expect_computed(add("Multiply", {to(shifted, "f32"), constant(ElementType::f32, {kRows, 1})}));
}

TEST_F(WeightMatch, TwoFactorsAreComputed) {
  Value codes = to(constant(ElementType::i8, {kRows, kColumns}), "f32");
  Value once = add("Multiply", {codes, constant(ElementType::f32, {kRows, 1})});
  expect_computed(add("Multiply", {once, constant(ElementType::f32, {kRows, 1})}));
}

TEST_F(WeightMatch, TransposedChainsAreComputed) {
  Value weights = add("Multiply", {to(constant(ElementType::i8, {kColumns, kRows}), "f32"), constant(ElementType::f32, {kColumns, 1})});
  Value order = graph_.add_constant(Tensor::from<int64_t>({2}, std::vector<int64_t>{1, 0})).output();
  expect_computed(add("Transpose", {weights, order}));
}

TEST_F(WeightMatch, SumsAreComputed) {
  expect_computed(add("Add", {constant(ElementType::f32, {kRows, kColumns}), constant(ElementType::f32, {kRows, kColumns})}));
}

TEST_F(WeightMatch, OnlyConstantMatricesMatch) {
  EXPECT_FALSE(is_matched(constant(ElementType::f32, {kColumns})));
  EXPECT_FALSE(is_matched(constant(ElementType::f32, {0, kColumns})));
  EXPECT_FALSE(is_matched(graph_.add_parameter(ElementType::f32, {kRows, kColumns}, "p").output()));
}

}  // namespace
}  // namespace nibble::cpu
