#include "device/cpu/mask_kind.hpp"

#include "expect_error.hpp"
#include "lowering_edits.hpp"

namespace nibble::cpu {

using test::Editor;
using test::fails;

namespace {

constexpr size_t kHeads = 4;
constexpr float kScale = 0.3f;

/// Masks built as graphs build them, from positions alone.
class MaskKindTest : public testing::Test {
 protected:
  MaskKindTest() {
    graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "attention_mask");
    graph_.add_parameter(ElementType::i64, {kDynamic, kDynamic}, "position_ids");
    for (Node* parameter : graph_.parameters()) parameter->output_info().names.insert(parameter->name());
  }
  MaskKind classify(Value mask) {
    graph_.add("Result", {mask});
    TokenDependence dependence(graph_);
    PositionalValues positional(graph_, dependence, threads_);
    return classify_mask(mask, kHeads, kScale, positional);
  }
  bool is_refused(Value mask) {
    return static_cast<bool>(fails(ErrorKind::unsupported, {"mask"}, [&] { classify(mask); }));
  }

  Value query() { return e_.query_positions(); }
  Value key() { return e_.key_positions(); }
  Value distance() { return e_.add("Subtract", {query(), key()}); }
  Value number(float value) { return e_.number(value); }
  /// 0 where `visible`, else `hidden`.
  Value mask_of(Value visible, float hidden = -65504) { return e_.add("Select", {visible, number(0), number(hidden)}); }
  Value causal() { return e_.add("LessEqual", {key(), query()}); }
  Value both(Value a, Value b) { return e_.add("LogicalAnd", {a, b}); }
  Value window(float tokens) { return both(causal(), e_.add("Less", {distance(), number(tokens)})); }
  Value slopes(const std::vector<float>& values) { return e_.constant({1, static_cast<int64_t>(values.size()), 1, 1}, values); }
  Value alibi(const std::vector<float>& values) {
    return e_.add("Subtract", {mask_of(causal()), e_.add("Multiply", {distance(), slopes(values)})});
  }

  Graph graph_;
  Editor e_{graph_};
  ThreadPool threads_{2};
};

TEST_F(MaskKindTest, Causal) {
  MaskKind kind = classify(mask_of(causal()));
  EXPECT_EQ(kind.window, 0u);
  EXPECT_TRUE(kind.slopes.empty());
}

TEST_F(MaskKindTest, HiddenMayBeAnyLargeNumber) {
  for (float hidden : {-INFINITY, -3.4e38f, -65504.0f, -1e9f}) EXPECT_EQ(classify(mask_of(causal(), hidden)).window, 0u) << hidden;
}

TEST_F(MaskKindTest, SmallNumbersHideNothing) {
  for (float hidden : {-1.0f, -10000.0f, 65504.0f}) {
    SCOPED_TRACE(hidden);
    EXPECT_TRUE(is_refused(mask_of(causal(), hidden)));
  }
}

TEST_F(MaskKindTest, Booleans) {
  EXPECT_EQ(classify(causal()).window, 0u);
  EXPECT_EQ(classify(window(6)).window, 6u);
}

TEST_F(MaskKindTest, RanksOfTwoAndThree) {
  EXPECT_EQ(classify(e_.add("Squeeze", {mask_of(window(5)), e_.ints({0})})).window, 5u);
  EXPECT_EQ(classify(e_.add("Squeeze", {mask_of(window(5)), e_.ints({0, 1})})).window, 5u);
}

TEST_F(MaskKindTest, Windows) {
  for (float tokens : {1.0f, 2.0f, 7.0f, 8.0f, 9.0f, 100.0f, 4096.0f, 131072.0f}) {
    SCOPED_TRACE(tokens);
    MaskKind kind = classify(mask_of(window(tokens)));
    EXPECT_EQ(kind.window, static_cast<size_t>(tokens));
    EXPECT_TRUE(kind.slopes.empty());
  }
}

TEST_F(MaskKindTest, AlibiSlopesPerHead) {
  MaskKind kind = classify(alibi({0.5f, 0.25f, 0.0625f, 0.00390625f}));
  EXPECT_EQ(kind.window, 0u);
  ASSERT_EQ(kind.slopes.size(), kHeads);
  for (size_t h = 0; h < kHeads; ++h) EXPECT_NEAR(kind.slopes[h], (std::array{0.5f, 0.25f, 0.0625f, 0.00390625f}[h]), 1e-6f);
}

/// As Bloom has it: the slope times the key's position, which differs from ALiBi by a number per row.
TEST_F(MaskKindTest, AlibiFromTheFirstToken) {
  Value bias = e_.add("Multiply", {key(), slopes({0.5f, 0.25f, 0.125f, 0.0625f})});
  MaskKind kind = classify(e_.add("Add", {mask_of(causal()), bias}));
  ASSERT_EQ(kind.slopes.size(), kHeads);
  EXPECT_NEAR(kind.slopes[1], 0.25f, 1e-6f);
}

/// As transformers' Falcon computes it.
TEST_F(MaskKindTest, AlibiInBf16) {
  const std::vector<float> values{0.890625f, 0.5f, 0.33203125f, 0.0098876953125f};
  auto bf16 = [&](Value x) { return e_.add("Convert", {x}, {{"destination_type", "bf16"}}); };
  Value product = e_.add("Multiply", {bf16(slopes(values)), bf16(key())});
  Value bias = e_.add("Multiply", {e_.add("Convert", {product}, {{"destination_type", "f32"}}), number(kScale)});
  MaskKind kind = classify(e_.add("Add", {mask_of(causal()), bias}));
  EXPECT_EQ(kind.slopes, values);
  EXPECT_EQ(kind.slope_unit, kScale);
}

TEST_F(MaskKindTest, AlibiRoundedOtherwiseIsRefused) {
  auto f16 = [&](Value x) { return e_.add("Convert", {x}, {{"destination_type", "f16"}}); };
  Value product =
      e_.add("Convert", {e_.add("Multiply", {f16(slopes({0.84f, 0.7f, 0.6f, 0.5f})), f16(key())})}, {{"destination_type", "f32"}});
  EXPECT_TRUE(is_refused(e_.add("Add", {mask_of(causal()), product})));
}

TEST_F(MaskKindTest, ANumberForAllKeysOfARowDoesNotMatter) {
  EXPECT_EQ(classify(e_.add("Add", {mask_of(causal()), number(3)})).window, 0u);
  EXPECT_EQ(classify(e_.add("Add", {mask_of(window(5)), query()})).window, 5u);
}

TEST_F(MaskKindTest, WhatSeesTheFutureIsRefused) {
  EXPECT_TRUE(is_refused(mask_of(e_.add("LessEqual", {key(), e_.add("Add", {query(), number(1)})}))));
  EXPECT_TRUE(is_refused(e_.add("Multiply", {mask_of(causal()), number(0)}))) << "everything";
}

TEST_F(MaskKindTest, APrefixThatSeesItselfIsRefused) {
  Value prefix = both(e_.add("Less", {key(), number(3)}), e_.add("Less", {query(), number(3)}));
  EXPECT_TRUE(is_refused(mask_of(e_.add("LogicalOr", {causal(), prefix}))));
}

TEST_F(MaskKindTest, FirstTokensBesideAWindowAreRefused) {
  EXPECT_TRUE(is_refused(mask_of(e_.add("LogicalOr", {window(5), both(causal(), e_.add("Less", {key(), number(1)}))}))));
}

TEST_F(MaskKindTest, ChunksAreRefused) {
  for (float size : {4.0f, 64.0f, 8192.0f}) {
    SCOPED_TRACE(size);
    auto chunk = [&](Value x) { return e_.add("Floor", {e_.add("Divide", {x, number(size)})}); };
    EXPECT_TRUE(is_refused(mask_of(both(causal(), e_.add("Equal", {chunk(query()), chunk(key())})))));
  }
}

TEST_F(MaskKindTest, WindowsThatDifferByHeadAreRefused) {
  Value sizes = e_.constant({1, 4, 1, 1}, {5, 5, 6, 5});
  EXPECT_TRUE(is_refused(mask_of(both(causal(), e_.add("Less", {distance(), sizes})))));
  sizes = e_.constant({1, 4, 1, 1}, {500, 500, 500, 600});
  EXPECT_TRUE(is_refused(mask_of(both(causal(), e_.add("Less", {distance(), sizes})))));
}

TEST_F(MaskKindTest, BiasesOfOtherKindsAreRefused) {
  Value squares = e_.add("Multiply", {e_.add("Multiply", {distance(), distance()}), number(-0.01f)});
  EXPECT_TRUE(is_refused(e_.add("Add", {mask_of(causal()), squares})));
  Value of_queries_and_keys = e_.add("Multiply", {e_.add("Multiply", {query(), key()}), number(0.01f)});
  EXPECT_TRUE(is_refused(e_.add("Add", {mask_of(causal()), of_queries_and_keys})));
}

TEST_F(MaskKindTest, BiasesThatStopGrowingAreRefused) {
  for (float furthest : {6.0f, 30.0f, 100.0f, 1000.0f}) {
    SCOPED_TRACE(furthest);
    Value clipped = e_.add("Minimum", {distance(), number(furthest)});
    Value bias = e_.add("Multiply", {clipped, slopes({0.5f, 0.25f, 0.125f, 0.0625f})});
    EXPECT_TRUE(is_refused(e_.add("Subtract", {mask_of(causal()), bias})));
  }
}

TEST_F(MaskKindTest, HeadsThatAreNotThoseOfTheQueriesAreRefused) { EXPECT_TRUE(is_refused(alibi({0.5f, 0.25f}))); }

TEST_F(MaskKindTest, OtherShapesAreRefused) {
  EXPECT_TRUE(is_refused(e_.add("Transpose", {mask_of(causal()), e_.ints({0, 1, 3, 2})})));
  EXPECT_TRUE(is_refused(e_.add("Unsqueeze", {mask_of(causal()), e_.ints({0})})));
}

}  // namespace
}  // namespace nibble::cpu
