#include "device/cpu/expert_match.hpp"

#include <gtest/gtest.h>

// The expert of a mixture: a gated MLP, with a clamped gate and biases in gpt-oss.

namespace nibble::cpu {
namespace {

constexpr int64_t kExperts = 3, kHidden = 8, kWidth = 4;

class ExpertMatchTest : public testing::Test {
 protected:
  Value add(std::string_view type, std::vector<Value> inputs, Attributes attributes = {}) {
    return graph_.add(type, std::move(inputs), std::move(attributes)).output();
  }
  Value floats(Shape shape) {
    std::vector<float> values(element_count(shape));
    for (size_t i = 0; i < values.size(); ++i) values[i] = 0.01f * static_cast<float>(i + 1);
    return graph_.add_constant(Tensor::from<float>(std::move(shape), values)).output();
  }
  Value number(float value) { return graph_.add_constant(Tensor::scalar(value)).output(); }
  Value ints(std::vector<int64_t> values) {
    return graph_.add_constant(Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values)).output();
  }

  Value product(Value x, int64_t in, int64_t out) {
    return add("MatMul", {x, floats({kExperts, out, in})}, {{"transpose_a", "false"}, {"transpose_b", "true"}});
  }
  Value biased(Value product, Shape shape) { return add("Add", {product, floats(std::move(shape))}); }
  Value both() { return biased(product(x_, kHidden, 2 * kWidth), {kExperts, 1, 2 * kWidth}); }
  Value every(Value x, int64_t first, int64_t step = 2) {
    return add("Slice", {x, ints({first}), ints({INT64_MAX}), ints({step}), ints({2})});
  }
  Value up(Value x, float limit = 7, float more = 1) {
    Attributes limits{{"min", std::to_string(-limit)}, {"max", std::to_string(limit)}};
    return add("Add", {add("Clamp", {x}, std::move(limits)), number(more)});
  }
  Value least(Value x, float limit = 7) { return add("Minimum", {x, number(limit)}); }
  Value swish(Value x, float slope = 1.702f) { return add("Swish", {x, number(slope)}); }
  Value down(Value x) { return biased(product(x, kWidth, kHidden), {kExperts, 1, kHidden}); }
  Value multiply(Value a, Value b) { return add("Multiply", {a, b}); }

  std::optional<ExpertMatch> match(Value value) {
    graph_.add("Result", {value});
    ThreadPool threads(1);
    ConstantValues constants(graph_, threads);
    return match_expert(value, constants);
  }
  bool is_interleaved_clamped(Value value) {
    auto found = match(value);
    return found && found->is_interleaved && found->clamped && found->clamped->limit == 7 && found->clamped->slope == 1.702f &&
           found->gate.x == x_ && found->gate.bias && found->down.bias && !found->up.weight;
  }

  Graph graph_;
  Value x_ = graph_.add_parameter(ElementType::f32, {kExperts, kDynamic, kHidden}, "x").output();
};

TEST_F(ExpertMatchTest, GatedWithoutBiases) {
  Value gate = add("Swish", {product(x_, kHidden, kWidth)});
  auto found = match(product(multiply(gate, product(x_, kHidden, kWidth)), kWidth, kHidden));
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->gate.bias || found->up.bias || found->down.bias || found->clamped || found->is_interleaved);
  EXPECT_TRUE(found->gate.x == x_ && found->activation == Activation::silu);
}

TEST_F(ExpertMatchTest, GatedWithBiases) {
  Value gate = add("Gelu", {biased(product(x_, kHidden, kWidth), {kExperts, 1, kWidth})}, {{"approximation_mode", "TANH"}});
  auto found = match(down(multiply(biased(product(x_, kHidden, kWidth), {kExperts, 1, kWidth}), gate)));
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->gate.bias && found->up.bias && found->down.bias && found->activation == Activation::gelu_tanh);
}

TEST_F(ExpertMatchTest, ClampedInterleaved) {
  Value columns = both();
  EXPECT_TRUE(is_interleaved_clamped(down(multiply(up(every(columns, 1)), swish(least(every(columns, 0)))))));
}

TEST_F(ExpertMatchTest, ClampedWithTheSigmoidWrittenOut) {
  Value columns = both(), gate = least(every(columns, 0));
  Value glu = multiply(gate, add("Sigmoid", {multiply(gate, number(1.702f))}));
  EXPECT_TRUE(is_interleaved_clamped(down(multiply(glu, up(every(columns, 1))))));
}

TEST_F(ExpertMatchTest, ClampedBySomethingWithoutLowerBound) {
  Value columns = both(), gate = add("Clamp", {every(columns, 0)}, {{"min", "-inf"}, {"max", "7"}});
  EXPECT_TRUE(is_interleaved_clamped(down(multiply(swish(gate), up(every(columns, 1))))));
}

TEST_F(ExpertMatchTest, ClampedOfTwoProducts) {
  auto found = match(down(multiply(up(product(x_, kHidden, kWidth)), swish(least(product(x_, kHidden, kWidth))))));
  ASSERT_TRUE(found && found->clamped);
  EXPECT_TRUE(!found->is_interleaved && found->up.weight);
}

TEST_F(ExpertMatchTest, GateAndUpMustBeTheOnesOfOneProduct) {
  EXPECT_FALSE(match(down(multiply(up(every(both(), 1)), swish(least(every(both(), 0)))))));
}

TEST_F(ExpertMatchTest, OddColumnsAreNoGate) {
  Value columns = both();
  EXPECT_FALSE(match(down(multiply(up(every(columns, 0)), swish(least(every(columns, 1)))))));
}

TEST_F(ExpertMatchTest, ColumnsMustAlternate) {
  Value columns = biased(product(x_, kHidden, 3 * kWidth), {kExperts, 1, 3 * kWidth});
  EXPECT_FALSE(match(down(multiply(up(every(columns, 1, 3)), swish(least(every(columns, 0, 3)))))));
}

TEST_F(ExpertMatchTest, LimitsMustAgree) {
  Value columns = both();
  EXPECT_FALSE(match(down(multiply(up(every(columns, 1), 6), swish(least(every(columns, 0)))))));
}

TEST_F(ExpertMatchTest, OnlyOneIsAdded) {
  Value columns = both();
  EXPECT_FALSE(match(down(multiply(up(every(columns, 1), 7, 2), swish(least(every(columns, 0)))))));
}

TEST_F(ExpertMatchTest, InputsOfGateAndUpMustBeOne) {
  Value other = graph_.add_parameter(ElementType::f32, {kExperts, kDynamic, kHidden}, "other").output();
  Value gate = add("Swish", {product(x_, kHidden, kWidth)});
  EXPECT_FALSE(match(product(multiply(gate, product(other, kHidden, kWidth)), kWidth, kHidden)));
}

TEST_F(ExpertMatchTest, ABiasForAllExpertsAtOnceIsNone) {
  Value gate = add("Swish", {product(x_, kHidden, kWidth)});
  Value hidden = multiply(gate, product(x_, kHidden, kWidth));
  EXPECT_FALSE(match(biased(product(hidden, kWidth, kHidden), {1, 1, kHidden})));
}

}  // namespace
}  // namespace nibble::cpu
