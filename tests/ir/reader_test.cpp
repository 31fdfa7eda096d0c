#include "ir/reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph_text.hpp"

namespace nibble {
namespace {

using testing::ElementsAre;

TEST(Reader, ReadsParametersWithTheirNamesAndShapes) {
  Graph graph = read_text(net(parameter(0, "x,other") + result(1), edge(0, 0, 1, 0)));
  Node* x = graph.find_parameter("other");
  ASSERT_NE(x, nullptr);
  EXPECT_EQ(x->output_info().type, ElementType::f32);
  EXPECT_EQ(x->output_info().shape, PartialShape({kDynamic, 2}));
  EXPECT_THAT(x->output_info().names, ElementsAre("other", "x"));
}

TEST(Reader, KeepsCommasInsideTensorNames) {
  Graph graph = read_text(net(parameter(0, R"(a\,b,c\d)") + result(1), edge(0, 0, 1, 0)));
  EXPECT_THAT(graph.parameters()[0]->output_info().names, ElementsAre("a,b", R"(c\d)"));
}

TEST(Reader, InputAndOutputOrderIsThatOfTheFileAndIdsMeanNothing) {
  std::string xml =
      net(result(3, R"(output_names="b")") + result(2, R"(output_names="a")") + parameter(18446744073709551615u) + parameter(7),
          edge(7, 0, 2, 0) + edge(18446744073709551615u, 0, 3, 0));
  Graph graph = read_text(xml);
  ASSERT_EQ(graph.parameters().size(), 2u);
  EXPECT_EQ(graph.parameters()[0]->name(), "x18446744073709551615");
  EXPECT_EQ(graph.results()[0]->name(), "r3");
  EXPECT_EQ(graph.results()[0]->input(0).node, graph.parameters()[0]);
  EXPECT_EQ(graph.find_result("a")->name(), "r2");
}

TEST(Reader, PortNumbersNeedNotBeConsecutive) {
  std::string x = R"(<layer id="0" name="x" type="Parameter" version="opset1"><data shape="" element_type="i64"/>)"
                  R"(<output><port id="40" precision="I64"/></output></layer>)";
  std::string r = R"(<layer id="1" name="r" type="Result" version="opset1"><input><port id="9"/></input></layer>)";
  Graph graph = read_text(net(x + r, edge(0, 40, 1, 9)));
  EXPECT_EQ(graph.results()[0]->input(0).node->name(), "x");
}

TEST(Reader, ConstantsAreViewsAtAnyOffset) {
  Graph graph = read_text(net(constant(0, "i32", "2", "1", "8") + constant(1, "u4", "3", "2", "2") + result(2) + result(3),
                              edge(0, 0, 2, 0) + edge(1, 0, 3, 0)));
  Tensor value = graph.results()[0]->input(0).node->constant().tensor();
  EXPECT_EQ(value.as<int32_t>()[0], 0x04030201);
  EXPECT_EQ(value.as<int32_t>()[1], 0x08070605);
  const ConstantValue& nibbles = graph.results()[1]->input(0).node->constant();
  EXPECT_EQ(nibbles.byte_size(), 2u);
  EXPECT_EQ(nibbles.view().data()[0], std::byte{2});
}

TEST(Reader, AConstantMayHaveNoElementsAtTheEndOfTheFile) {
  Graph graph = read_text(constant_model("f32", "0, 4", "256", "0"));
  EXPECT_EQ(graph.results()[0]->input(0).shape(), PartialShape({0, 4}));
}

TEST(Reader, StringConstantsKeepTheirWholePayload) {
  Graph graph = read_text(constant_model("string", "2", "8", "20"));
  EXPECT_EQ(graph.results()[0]->input(0).node->constant().byte_size(), 20u);
}

TEST(Reader, AttributesAreKeptAsWrittenIncludingUnknownOnes) {
  std::string x = R"(<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1..3,?" element_type="f16" future="&lt;1&gt;"/>)"
                  R"(<output><port id="0"/></output></layer>)";
  Graph graph = read_text(net(x + result(1), edge(0, 0, 1, 0)));
  const Attributes& attributes = graph.parameters()[0]->attributes();
  EXPECT_THAT(attributes.entries(),
              ElementsAre(std::pair("shape", "1..3,?"), std::pair("element_type", "f16"), std::pair("future", "<1>")));
}

TEST(Reader, KeepsRtInfoOfLayersAndModel) {
  std::string x = R"(<layer id="0" name="x" type="Parameter" version="opset1"><data shape="" element_type="f16"/>)"
                  R"(<rt_info><attribute name="decompression" version="0"/></rt_info><output><port id="0"/></output></layer>)";
  std::string rt = R"(<rt_info><info name="OpenVINO Runtime" value="2026"/><a><b value=""/><c><d value="1"/></c></a></rt_info>)";
  Graph graph = read_text(net(x + result(1), edge(0, 0, 1, 0), rt));
  ASSERT_EQ(graph.parameters()[0]->rt_info().size(), 1u);
  EXPECT_THAT(graph.parameters()[0]->rt_info()[0], ElementsAre(std::pair("name", "decompression"), std::pair("version", "0")));
  EXPECT_EQ(graph.rt_info().find("OpenVINO Runtime")->value, "2026");
  EXPECT_TRUE(graph.rt_info().find("OpenVINO Runtime")->as_info);
  EXPECT_TRUE(graph.rt_info().find("a")->find("b")->is_leaf);
  EXPECT_FALSE(graph.rt_info().find("a")->find("c")->is_leaf);
  EXPECT_EQ(graph.rt_info().find("a")->find("c")->find("d")->value, "1");
}

TEST(Reader, Version10WithAnUndefinedPrecision) {
  std::string xml = net(parameter(0) + result(1), edge(0, 0, 1, 0));
  xml.replace(xml.find("version=\"11\""), 12, "version=\"10\"");
  xml.replace(xml.find("precision=\"FP32\""), 16, "precision=\"undefined\"");
  EXPECT_EQ(read_text(xml).parameters()[0]->output_info().type, ElementType::f32);
}

TEST(Reader, PortsTellTheTypeThatInferenceLeavesOpen) {
  std::string xml = net(parameter(0) + result(1), edge(0, 0, 1, 0));
  xml.replace(xml.find("element_type=\"f32\""), 18, "element_type=\"dynamic\"");
  EXPECT_EQ(read_text(xml).parameters()[0]->output_info().type, ElementType::f32);
}

TEST(Reader, LayersThatNoResultNeedsAreLeftOut) {
  Graph graph = read_text(net(parameter(0) + constant(1, "f32", "", "0", "4") + result(2), edge(0, 0, 2, 0)));
  EXPECT_EQ(graph.nodes().size(), 2u);
}

TEST(Reader, StatesAreReadAndKeptAlive) {
  std::string read =
      R"(<layer id="1" name="rv" type="ReadValue" version="opset6"><data variable_id="v" variable_type="f32" variable_shape="?,2"/>)"
      R"(<input><port id="0"/></input><output><port id="1" precision="FP32"/></output></layer>)";
  std::string assign = R"(<layer id="2" name="as" type="Assign" version="opset6"><data variable_id="v"/>)"
                       R"(<input><port id="0"/></input><output><port id="1"/></output></layer>)";
  Graph graph =
      read_text(net(parameter(0) + read + assign + parameter(4) + result(3), edge(0, 0, 1, 0) + edge(1, 1, 2, 0) + edge(4, 0, 3, 0)));
  ASSERT_EQ(graph.of_type("Assign").size(), 1u);
  EXPECT_EQ(graph.of_type("Assign")[0]->input(0).node, graph.of_type("ReadValue")[0]);
  EXPECT_EQ(graph.of_type("ReadValue")[0]->output_info().shape, PartialShape({kDynamic, 2}));
}

TEST(Reader, AMissingBinIsFineForAModelWithoutConstants) {
  ScratchDirectory directory;
  write_file(directory / "model.xml", net(parameter(0) + result(1), edge(0, 0, 1, 0)));
  EXPECT_EQ(read_ir(directory / "model.xml").nodes().size(), 2u);
}

TEST(Reader, ConstantsKeepTheirFileOpen) {
  ScratchDirectory directory;
  write_file(directory / "model.xml", constant_model("u8", "4", "0", "4"));
  write_file(directory / "model.bin", "abcd");
  Graph graph = read_ir(directory / "model.xml");
  std::filesystem::remove(directory / "model.bin");
  EXPECT_EQ(graph.results()[0]->input(0).node->constant().tensor().as<uint8_t>()[3], 'd');
}

TEST(Reader, AChainOfAHundredThousandLayersIsReadInOrder) {
  constexpr uint64_t kLength = 100000;
  std::string layers = parameter(0), edges;
  for (uint64_t i = 1; i <= kLength; ++i) {
    layers += fmt::format(R"(<layer id="{}" name="s" type="ReadValue" version="opset3"><data variable_id="v{}"/>)"
                          R"(<input><port id="0"/></input><output><port id="1"/></output></layer>)",
                          i, i);
    edges += edge(i - 1, i == 1 ? 0 : 1, i, 0);
  }
  Graph graph = read_text(net(layers + result(kLength + 1), edges + edge(kLength, 1, kLength + 1, 0)));
  EXPECT_EQ(graph.results()[0]->input(0).shape(), PartialShape::of_rank(2));
}

}  // namespace
}  // namespace nibble
