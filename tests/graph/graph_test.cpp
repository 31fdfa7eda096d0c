#include "graph/graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/op_set.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// x -> Exp "first" -> Sin "second" -> Result
struct Chain {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::f32, {2}, "x");
  Node& first = graph.add("Exp", {x.output()}, {}, "first");
  Node& second = graph.add("Sin", {first.output()}, {}, "second");
  Node& result = graph.add("Result", {second.output()}, {}, "result");
};

TEST(Graph, AddInfersAndNames) {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::f16, {-1, 4}, "x");
  Node& exp = graph.add("Exp", {x.output()});
  EXPECT_EQ(exp.output().type(), ElementType::f16);
  EXPECT_EQ(exp.output().shape(), (PartialShape{-1, 4}));
  EXPECT_EQ(exp.opset(), "opset1");
  EXPECT_THAT(exp.name(), testing::StartsWith("Exp_"));
}

TEST(Graph, NewestOpsetUnlessGiven) {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::f32, {2}, "x");
  EXPECT_EQ(graph.add("Gelu", {x.output()}).opset(), "opset7");
  EXPECT_EQ(graph.add("Gelu", {x.output()}, {}, "old", "opset2").opset(), "opset2");
}

TEST(Graph, UnknownOperationsAreNamed) {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::f32, {2}, "x");
  EXPECT_THAT(message_of([&] { graph.add("Frobnicate", {x.output()}, {}, "here"); }), HasSubstr("'here': operation Frobnicate"));
  EXPECT_THAT(message_of([&] { graph.add("Exp", {x.output()}, {}, "here", "opset99"); }), HasSubstr("opset99"));
}

TEST(Graph, SpellingsOfTheFileFormatAreKnown) {
  EXPECT_EQ(find_op("Const"), find_op("Constant"));
  EXPECT_EQ(find_op("SoftMax"), find_op("Softmax"));
  EXPECT_EQ(ir_type_name("Relu"), "ReLU");
  EXPECT_EQ(ir_type_name("MatMul"), "MatMul");
}

TEST(Graph, EveryOperationHasOneEntry) {
  auto ops = all_ops();
  auto same = [](const OpDef* a, const OpDef* b) { return a->type == b->type; };
  EXPECT_EQ(std::adjacent_find(ops.begin(), ops.end(), same), ops.end());
  for (const OpDef* op : ops) {
    EXPECT_FALSE(op->opsets.empty()) << op->type;
    EXPECT_NE(op->infer, nullptr) << op->type;
  }
}

TEST(Graph, WrongNumberOfInputsIsAnError) {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::f32, {2}, "x");
  EXPECT_THROW(graph.add("Add", {x.output()}), Error);
  EXPECT_THROW(graph.add("Exp", {x.output(), x.output()}), Error);
}

TEST(Graph, ErrorsOfInferenceNameTheNode) {
  Graph graph;
  Node& a = graph.add_parameter(ElementType::f32, {2}, "a");
  Node& b = graph.add_parameter(ElementType::f32, {3}, "b");
  EXPECT_THAT(message_of([&] { graph.add("Add", {a.output(), b.output()}, {}, "sum"); }), HasSubstr("Add 'sum'"));
}

TEST(Graph, OrderPutsInputsFirst) {
  Chain chain;
  EXPECT_THAT(chain.graph.topological_order(), ElementsAre(&chain.x, &chain.first, &chain.second, &chain.result));
}

TEST(Graph, OrderVisitsSharedNodesOnce) {
  Graph graph;
  Node& x = graph.add_parameter(ElementType::f32, {2}, "x");
  Node& exp = graph.add("Exp", {x.output()});
  Node& sum = graph.add("Add", {exp.output(), exp.output()});
  Node& result = graph.add("Result", {sum.output()});
  EXPECT_THAT(graph.topological_order(), ElementsAre(&x, &exp, &sum, &result));
}

TEST(Graph, OrderFollowsLongChainsWithoutRecursion) {
  Graph graph;
  Value last = graph.add_parameter(ElementType::f32, {2}, "x").output();
  for (int i = 0; i < 200000; ++i) last = graph.add("Relu", {last}).output();
  graph.add("Result", {last});
  EXPECT_EQ(graph.topological_order().size(), 200002u);
}

TEST(Graph, ReadValueComesBeforeAssignOfItsVariable) {
  Graph graph;
  Attributes state{{"variable_id", "v"}, {"variable_type", "f32"}, {"variable_shape", "2"}};
  Node& x = graph.add_parameter(ElementType::f32, {2}, "x");
  Node& assign = graph.add("Assign", {x.output()}, {{"variable_id", "v"}});
  Node& read = graph.add("ReadValue", {x.output()}, state);
  graph.add("Result", {read.output()});
  auto order = graph.topological_order();
  EXPECT_LT(std::find(order.begin(), order.end(), &read), std::find(order.begin(), order.end(), &assign));
}

TEST(Graph, CyclesAreNamed) {
  Chain chain;
  chain.first.set_input(0, chain.second.output());
  EXPECT_THAT(message_of([&] { chain.graph.topological_order(); }), testing::AllOf(HasSubstr("cycle"), HasSubstr("'")));
}

TEST(Graph, ReplaceUsesMovesReaders) {
  Chain chain;
  Node& other = chain.graph.add("Cos", {chain.x.output()});
  chain.graph.replace_uses(chain.first.output(), other.output());
  EXPECT_EQ(chain.second.input(0), other.output());
  EXPECT_FALSE(chain.first.has_uses());
  EXPECT_THAT(other.uses(), ElementsAre(Node::Use{&chain.second, 0}));
}

TEST(Graph, ReplaceUsesSparesTheException) {
  Chain chain;
  Node& wrapper = chain.graph.add("Negative", {chain.first.output()});
  chain.graph.replace_uses(chain.first.output(), wrapper.output(), &wrapper);
  EXPECT_EQ(wrapper.input(0), chain.first.output());
  EXPECT_EQ(chain.second.input(0), wrapper.output());
}

TEST(Graph, ReplacingAResultsSourceKeepsItsTensorName) {
  Chain chain;
  chain.second.output_info().names = {"logits"};
  Node& other = chain.graph.add("Cos", {chain.first.output()});
  chain.graph.replace_uses(chain.second.output(), other.output());
  EXPECT_EQ(chain.graph.find_result("logits"), &chain.result);
  EXPECT_THAT(other.output_info().names, ElementsAre("logits"));
}

TEST(Graph, RemoveUnusedKeepsParametersAndWhatIsNeeded) {
  Chain chain;
  Node& unused_input = chain.graph.add_parameter(ElementType::f32, {1}, "unused");
  chain.graph.add("Cos", {chain.graph.add("Tan", {chain.first.output()}).output()});
  chain.graph.remove_unused();
  EXPECT_EQ(chain.graph.nodes().size(), 5u);
  EXPECT_THAT(chain.graph.parameters(), ElementsAre(&chain.x, &unused_input));
  EXPECT_THAT(chain.first.uses(), ElementsAre(Node::Use{&chain.second, 0}));
}

TEST(Graph, FindsInputsAndOutputsByTensorName) {
  Chain chain;
  chain.x.output_info().names = {"input_ids", "7"};
  EXPECT_EQ(chain.graph.find_parameter("input_ids"), &chain.x);
  EXPECT_EQ(chain.graph.find_parameter("x"), &chain.x);
  EXPECT_EQ(chain.graph.find_parameter("logits"), nullptr);
  EXPECT_EQ(chain.graph.find_result("logits"), nullptr);
}

TEST(Graph, InferSpreadsNewShapes) {
  Chain chain;
  chain.x.attributes().set("shape", "?,3");
  chain.graph.infer();
  EXPECT_EQ(chain.second.output().shape(), (PartialShape{-1, 3}));
}

TEST(Node, SetInputMovesTheUse) {
  Chain chain;
  chain.second.set_input(0, chain.x.output());
  EXPECT_FALSE(chain.first.has_uses());
  EXPECT_THAT(chain.x.uses(), testing::UnorderedElementsAre(Node::Use{&chain.first, 0}, Node::Use{&chain.second, 0}));
}

TEST(Attributes, ReadsTheFormatsOfTheFile) {
  Attributes attributes{{"flag", "TRUE"},    {"one", "1"},     {"eps", "9.9999999747524271e-07"},
                        {"list", "2, -3,4"}, {"type", "FP16"}, {"empty", ""}};
  EXPECT_TRUE(attributes.get_bool("flag", false));
  EXPECT_TRUE(attributes.get_bool("one", false));
  EXPECT_EQ(static_cast<float>(attributes.get_float("eps", 0)), 1e-6f);
  EXPECT_THAT(attributes.get_ints("list"), ElementsAre(2, -3, 4));
  EXPECT_THAT(attributes.get_ints("empty"), testing::IsEmpty());
  EXPECT_EQ(attributes.get_type("type", ElementType::dynamic), ElementType::f16);
  EXPECT_TRUE(attributes.equals("mode", "NUMPY", "numpy"));
}

TEST(Attributes, MissingOnesGiveTheDefault) {
  Attributes attributes;
  EXPECT_EQ(attributes.get_int("axis", -7), -7);
  EXPECT_EQ(attributes.get_string("mode", "max"), "max");
  EXPECT_EQ(attributes.find("mode"), nullptr);
}

TEST(Attributes, MalformedOnesAreNamed) {
  Attributes attributes{{"axis", "1x"}, {"flag", "yes"}, {"list", "1,,2"}, {"type", "f13"}};
  EXPECT_THAT(message_of([&] { attributes.get_int("axis", 0); }), HasSubstr("axis=\"1x\""));
  EXPECT_THROW(attributes.get_bool("flag", true), Error);
  EXPECT_THROW(attributes.get_ints("list"), Error);
  EXPECT_THROW(attributes.get_type("type", ElementType::f32), Error);
}

TEST(Attributes, KeepTheirOrder) {
  Attributes attributes{{"b", "1"}, {"a", "2"}};
  attributes.set("b", "3");
  attributes.set("c", "4");
  using Entry = Attributes::Entry;
  EXPECT_THAT(attributes.entries(), ElementsAre(Entry("b", "3"), Entry("a", "2"), Entry("c", "4")));
}

TEST(PartialShape, ReadsAndWritesTheNotationOfTheFile) {
  EXPECT_EQ(parse_partial_shape("?,8,-1,128"), (PartialShape{-1, 8, -1, 128}));
  EXPECT_EQ(parse_partial_shape("[1..10, ..4, 3.., 2]"), (PartialShape{-1, -1, -1, 2}));
  EXPECT_EQ(parse_partial_shape(""), PartialShape(Shape{}));
  EXPECT_FALSE(parse_partial_shape("...").rank_is_known());
  EXPECT_EQ(to_string(PartialShape{-1, 8}), "?,8");
  EXPECT_EQ(to_string(PartialShape()), "...");
}

TEST(PartialShape, RejectsAnythingElse) {
  for (auto text : {"a", "1,,2", "-2", "1,2,", "99999999999999999999", "1 2"}) EXPECT_THROW(parse_partial_shape(text), Error) << text;
}

TEST(PartialShape, IsStaticOnlyWithAllDimensions) {
  EXPECT_TRUE((PartialShape{2, 0}).is_static());
  EXPECT_FALSE((PartialShape{2, -1}).is_static());
  EXPECT_FALSE(PartialShape().is_static());
}

}  // namespace
}  // namespace nibble
