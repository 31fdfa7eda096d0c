#include "device/cpu/form.hpp"

#include <gmock/gmock.h>

#include "expect_error.hpp"

namespace nibble::cpu {

using test::fails;

namespace {

/// Slots with values of one token, to read forms with.
using Slots = std::vector<std::vector<float>>;

std::vector<float> read(const Form& form, const Slots& slots) {
  std::vector<float> out(form.size(), 0);
  for (const auto& term : form.terms)
    for (size_t i = 0; i < term.size(); ++i) {
      const Element& e = term[i];
      if (e.slot < 0) continue;
      float x = slots.at(static_cast<size_t>(e.slot)).at(static_cast<size_t>(e.column));
      float by = e.multiplier < 0 ? 1 : slots.at(static_cast<size_t>(e.multiplier)).at(static_cast<size_t>(e.multiplier_column));
      out[i] += e.factor * x * by;
    }
  return out;
}

using Values = std::vector<float>;

class FormTest : public testing::Test {
 protected:
  /// One operation of a graph on forms and constants.
  std::vector<Form> moved(std::string_view type, const std::vector<MoveInput>& inputs, Attributes attributes = {}) {
    std::vector<Value> values;
    for (const MoveInput& input : inputs)
      values.push_back(input.form ? graph_.add_parameter(ElementType::f32, input.form->shape, "p" + std::to_string(values.size())).output()
                                  : graph_.add_constant(input.tensor).output());
    return move(graph_.add(type, values, std::move(attributes)), inputs, threads_);
  }
  static Tensor ints(const std::vector<int64_t>& values) { return Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values); }
  static Tensor floats(Shape shape, const Values& values) { return Tensor::from<float>(std::move(shape), values); }

  Graph graph_;
  ThreadPool threads_{1};
  const Slots slots_{{0, 1, 2, 3, 4, 5}, {10, 20, 30}, {100, 200, 300, 400, 500, 600}};
  const Form six_ = identity_form({0, 0, 6}, {1, 2, 3}), three_ = identity_form({1, 0, 3}, {3});
};

TEST_F(FormTest, IdentitiesAreTheirView) {
  Form form = identity_form({2, 1, 4}, {1, 2, 2});
  EXPECT_EQ(as_view(form), (View{2, 1, 4}));
  EXPECT_EQ(read(form, slots_), (Values{200, 300, 400, 500}));
  EXPECT_FALSE(form.has_multiplier());
}

TEST_F(FormTest, WhatIsNotColumnsInOrderIsNoView) {
  EXPECT_FALSE(as_view(scaled(six_, floats({}, {2}))));
  EXPECT_FALSE(as_view(sum(three_, three_)));
  EXPECT_FALSE(as_view(*multiplied(three_, identity_form({2, 0, 3}, {3}))));
  EXPECT_FALSE(as_view(moved("Gather", {{&three_, {}}, {nullptr, ints({2, 1, 0})}, {nullptr, Tensor::scalar<int64_t>(0)}})[0]));
  Form two_slots = identity_form({0, 0, 2}, {2});
  two_slots.terms[0][1].slot = 1;
  EXPECT_FALSE(as_view(two_slots));
  EXPECT_FALSE(as_view(Form{{0}, {{}}}));
  EXPECT_FALSE(as_view(Form{{1}, {{Element{}}}})) << "a zero";
}

TEST_F(FormTest, ScaledByOneIsStillAView) { EXPECT_EQ(as_view(scaled(six_, floats({}, {1}))), (View{0, 0, 6})); }

TEST_F(FormTest, ReshapesKeepTheOrder) {
  Form form = moved("Reshape", {{&six_, {}}, {nullptr, ints({3, 2})}}, {{"special_zero", "false"}})[0];
  EXPECT_EQ(form.shape, (Shape{3, 2}));
  EXPECT_EQ(as_view(form), (View{0, 0, 6}));
}

TEST_F(FormTest, TranspositionsMoveColumns) {
  Form form = moved("Transpose", {{&six_, {}}, {nullptr, ints({0, 2, 1})}})[0];
  EXPECT_EQ(form.shape, (Shape{1, 3, 2}));
  EXPECT_EQ(read(form, slots_), (Values{0, 3, 1, 4, 2, 5}));
}

TEST_F(FormTest, SlicesOfViewsAreViews) {
  Form form = moved("Slice", {{&six_, {}}, {nullptr, ints({1})}, {nullptr, ints({2})}, {nullptr, ints({1})}, {nullptr, ints({1})}})[0];
  EXPECT_EQ(as_view(form), (View{0, 3, 3}));
}

TEST_F(FormTest, EveryOutputOfASplitIsThere) {
  std::vector<Form> parts = moved("Split", {{&six_, {}}, {nullptr, Tensor::scalar<int64_t>(2)}}, {{"num_splits", "3"}});
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(read(parts[1], slots_), (Values{1, 4}));
}

TEST_F(FormTest, FormsOfSeveralSlotsAreJoined) {
  Form form = moved("Concat", {{&three_, {}}, {&three_, {}}}, {{"axis", "0"}})[0];
  EXPECT_EQ(read(form, slots_), (Values{10, 20, 30, 10, 20, 30}));
}

TEST_F(FormTest, RepeatedElementsAreReadAgain) {
  Form form = moved("Broadcast", {{&three_, {}}, {nullptr, ints({2, 3})}}, {{"mode", "numpy"}})[0];
  EXPECT_EQ(read(form, slots_), (Values{10, 20, 30, 10, 20, 30}));
}

TEST_F(FormTest, MovementsTakeFactorsAndMultipliersAlong) {
  Form rotary = sum(*multiplied(three_, identity_form({2, 0, 3}, {3})), negated(*multiplied(three_, identity_form({2, 3, 3}, {3}))));
  Form form = moved("Gather", {{&rotary, {}}, {nullptr, ints({2, 0})}, {nullptr, Tensor::scalar<int64_t>(0)}})[0];
  EXPECT_EQ(form.terms.size(), 2u);
  EXPECT_EQ(read(form, slots_), (Values{30 * 300 - 30 * 600, 10 * 100 - 10 * 400}));
}

TEST_F(FormTest, JoiningFormsOfOneAndOfTwoTermsFillsWithZeros) {
  Form two = sum(*multiplied(three_, identity_form({2, 0, 3}, {3})), *multiplied(three_, identity_form({2, 3, 3}, {3})));
  Form joined = moved("Concat", {{&two, {}}, {&three_, {}}}, {{"axis", "0"}})[0];
  EXPECT_EQ(read(joined, slots_), (Values{10 * 500, 20 * 700, 30 * 900, 10, 20, 30}));
  Form back = moved("Slice", {{&joined, {}}, {nullptr, ints({3})}, {nullptr, ints({6})}, {nullptr, ints({1})}, {nullptr, ints({0})}})[0];
  EXPECT_EQ(as_view(back), (View{1, 0, 3})) << "a term of zeros is dropped";
}

TEST_F(FormTest, ScalesAreBroadcastBothWays) {
  EXPECT_EQ(read(scaled(six_, floats({3}, {1, 10, 100})), slots_), (Values{0, 10, 200, 3, 40, 500}));
  EXPECT_EQ(read(scaled(six_, floats({1, 2, 1}, {1, -1})), slots_), (Values{0, 1, 2, -3, -4, -5}));
  Form wider = scaled(three_, floats({2, 1}, {1, 2}));
  EXPECT_EQ(wider.shape, (Shape{2, 3}));
  EXPECT_EQ(read(wider, slots_), (Values{10, 20, 30, 20, 40, 60}));
}

TEST_F(FormTest, ScalesMultiplyUp) {
  EXPECT_EQ(read(scaled(scaled(three_, floats({}, {2})), floats({3}, {1, 2, 3})), slots_), (Values{20, 80, 180}));
}

TEST_F(FormTest, ScalesOfHalfPrecisionCount) {
  Tensor half(ElementType::f16, {});
  *reinterpret_cast<uint16_t*>(half.mutable_data()) = 0x3800;  // 0.5
  EXPECT_EQ(read(scaled(three_, half), slots_), (Values{5, 10, 15}));
}

TEST_F(FormTest, MultipliersAreBroadcast) {
  Form by_row = *multiplied(six_, identity_form({1, 1, 2}, {2, 1}));
  EXPECT_EQ(read(by_row, slots_), (Values{0, 20, 40, 90, 120, 150}));
  EXPECT_TRUE(by_row.has_multiplier());
}

TEST_F(FormTest, ScalesOfMultipliersCount) {
  Form multiplier = scaled(identity_form({2, 0, 3}, {3}), floats({}, {0.5f}));
  EXPECT_EQ(read(*multiplied(three_, multiplier), slots_), (Values{500, 2000, 4500}));
}

TEST_F(FormTest, TwoMultipliersAreTooMany) {
  Form once = *multiplied(three_, identity_form({2, 0, 3}, {3}));
  EXPECT_FALSE(multiplied(once, three_));
  EXPECT_FALSE(multiplied(three_, sum(three_, three_)));
}

TEST_F(FormTest, SumsAreBroadcast) {
  EXPECT_EQ(read(sum(six_, three_), slots_), (Values{10, 21, 32, 13, 24, 35}));
  EXPECT_EQ(read(sum(three_, negated(three_)), slots_), (Values{0, 0, 0}));
}

TEST_F(FormTest, ShapesThatDoNotGoTogetherAreNamed) {
  EXPECT_EQ(broadcast_shape({2, 1, 3}, {5, 1}), (Shape{2, 5, 3}));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"[2,3]", "[4]"}, [] { broadcast_shape({2, 3}, {4}); }));
}

TEST_F(FormTest, BroadcastIndices) {
  EXPECT_EQ(broadcast_indices({2, 1}, {3, 2, 2}), (std::vector<size_t>{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}));
  EXPECT_EQ(broadcast_indices({}, {2}), (std::vector<size_t>{0, 0}));
}

TEST_F(FormTest, MovementsAreKnown) {
  for (const char* type : {"Reshape", "Transpose", "Gather", "Concat", "Slice"}) {
    Graph graph;
    EXPECT_TRUE(is_movement(graph.add_unlinked(type, 2, {}, "n", ""))) << type;
  }
  Graph graph;
  EXPECT_FALSE(is_movement(graph.add_unlinked("Add", 2, {}, "n", "")));
}

}  // namespace
}  // namespace nibble::cpu
