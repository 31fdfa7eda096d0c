#include "passes/constant_folding.hpp"

#include <algorithm>

#include "base/thread_pool.hpp"
#include "expect_error.hpp"

namespace nibble {

using test::fails;

namespace {

class Folding : public testing::Test {
 protected:
  Value floats(std::vector<float> values) {
    return graph_.add_constant(Tensor::from<float>({static_cast<int64_t>(values.size())}, values)).output();
  }
  Value add(Value a, Value b, std::string name = {}) { return graph_.add("Add", {a, b}, {}, std::move(name)).output(); }
  Value input(std::string name = "x") { return graph_.add_parameter(ElementType::f32, {2}, std::move(name)).output(); }
  Node& result(Value value) { return graph_.add("Result", {value}); }
  void fold() {
    ThreadPool threads(2);
    fold_constants(graph_, threads);
  }
  static std::vector<float> values(Value value) {
    auto span = value.node->constant().tensor().as<float>();
    return {span.begin(), span.end()};
  }
  size_t count(std::string_view type) const { return graph_.of_type(type).size(); }

  Graph graph_;
};

TEST_F(Folding, ComputesWhatDependsOnConstantsAlone) {
  Node& out = result(add(add(floats({1, 2}), floats({10, 20})), floats({100, 200})));
  fold();
  EXPECT_EQ(values(out.input(0)), (std::vector<float>{111, 222}));
  EXPECT_EQ(count("Add"), 0u);
}

TEST_F(Folding, KeepsWhatDependsOnInputs) {
  Value x = input();
  Node& sum = *add(x, add(floats({1, 2}), floats({3, 4}))).node;
  result(sum.output());
  fold();
  EXPECT_EQ(count("Add"), 1u);
  EXPECT_EQ(sum.input(0), x);
  EXPECT_EQ(values(sum.input(1)), (std::vector<float>{4, 6}));
}

TEST_F(Folding, RemovesConstantsThatNothingReadsAnyMore) {
  result(add(input(), add(floats({1, 2}), floats({3, 4}))));
  fold();
  EXPECT_EQ(count("Constant"), 1u);
}

TEST_F(Folding, SharedValuesAreComputedForEveryReader) {
  Value shared = add(floats({1, 2}), floats({3, 4}));
  Value twice = add(shared, shared);
  Node& first = result(add(input("a"), shared));
  Node& second = result(add(input("b"), twice));
  fold();
  EXPECT_EQ(values(first.input(0).node->input(1)), (std::vector<float>{4, 6}));
  EXPECT_EQ(values(second.input(0).node->input(1)), (std::vector<float>{8, 12}));
}

TEST_F(Folding, ReadersOfOneValueShareOneConstant) {
  Value shared = add(floats({1, 2}), floats({3, 4}));
  Node& first = result(add(input("a"), shared));
  Node& second = result(add(input("b"), shared));
  fold();
  EXPECT_EQ(first.input(0).node->input(1), second.input(0).node->input(1));
}

TEST_F(Folding, EveryOutputOfAnOperationIsFolded) {
  Value axis = graph_.add_constant(Tensor::scalar<int64_t>(0)).output();
  Node& split = graph_.add("Split", {floats({1, 2, 3, 4}), axis}, {{"num_splits", "2"}});
  Node& first = result(add(input("a"), split.output(0)));
  Node& second = result(add(input("b"), split.output(1)));
  fold();
  EXPECT_EQ(values(first.input(0).node->input(1)), (std::vector<float>{1, 2}));
  EXPECT_EQ(values(second.input(0).node->input(1)), (std::vector<float>{3, 4}));
  EXPECT_EQ(count("Split"), 0u);
}

TEST_F(Folding, FoldedValuesKeepTheirNames) {
  Value sum = add(floats({1, 2}), floats({3, 4}), "sum");
  sum.node->output_info().names.insert("answer");
  Node& out = result(sum);
  fold();
  EXPECT_EQ(out.input(0).node->name(), "sum");
  EXPECT_EQ(graph_.find_result("answer"), &out);
}

TEST_F(Folding, StatesAreNotFoldedThoughTheyStartFromConstants) {
  Attributes variable{{"variable_id", "v"}, {"variable_type", "f32"}, {"variable_shape", "2"}};
  Node& state = graph_.add("ReadValue", {add(floats({1, 2}), floats({3, 4}))}, variable);
  Value next = add(state.output(), floats({1, 1}));
  graph_.add("Assign", {next}, {{"variable_id", "v"}});
  result(next);
  fold();
  EXPECT_EQ(count("ReadValue"), 1u);
  EXPECT_EQ(count("Assign"), 1u);
  EXPECT_EQ(count("Add"), 1u);
  EXPECT_EQ(values(state.input(0)), (std::vector<float>{4, 6}));
}

TEST_F(Folding, StaticShapesOfInputsAreLeftToRunTime) {
  result(graph_.add("ShapeOf", {input()}).output());
  fold();
  EXPECT_EQ(count("ShapeOf"), 1u);
}

TEST_F(Folding, ParametersStayEvenWithoutReaders) {
  input("unused");
  result(add(floats({1, 2}), floats({3, 4})));
  fold();
  EXPECT_EQ(count("Parameter"), 1u);
}

TEST_F(Folding, AGraphWithoutConstantPartsStaysAsItIs) {
  Value x = input();
  Value bias = floats({1, 2});
  Node& sum = *add(x, bias).node;
  result(sum.output());
  size_t before = graph_.nodes().size();
  fold();
  EXPECT_EQ(graph_.nodes().size(), before);
  EXPECT_EQ(sum.input(1), bias);
}

TEST_F(Folding, ErrorsNameTheNode) {
  Value one = graph_.add_constant(Tensor::scalar<int64_t>(1)).output(), zero = graph_.add_constant(Tensor::scalar<int64_t>(0)).output();
  result(graph_.add("Divide", {one, zero}, {}, "ratio").output());
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"Divide 'ratio'", "zero"}, [&] { fold(); }));
}

TEST_F(Folding, ConstantSubgraphListsOperationsInOrderWithoutConstants) {
  Value first = add(floats({1, 2}), floats({3, 4})), second = add(first, floats({5, 6}));
  result(add(input(), second));
  EXPECT_EQ(constant_subgraph(graph_), (std::vector<Node*>{first.node, second.node}));
}

}  // namespace
}  // namespace nibble
