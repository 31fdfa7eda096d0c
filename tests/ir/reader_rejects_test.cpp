#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/mapped_file.hpp"
#include "graph_text.hpp"

namespace nibble {
namespace {

using testing::HasSubstr;

/// Reading fails with this kind and a message that contains `message`.
void expect_refused(std::string_view xml, ErrorKind kind, const std::string& message) {
  try {
    read_text(xml);
    FAIL() << "was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(message));
    EXPECT_THAT(error.what(), HasSubstr("test.xml: "));
  }
}

void expect_corrupt(std::string_view xml, const std::string& message) { expect_refused(xml, ErrorKind::corrupt, message); }

std::string layer(uint64_t id, std::string_view type, std::string_view inside, std::string_view version = "opset1") {
  return fmt::format(R"(<layer id="{}" name="n{}" type="{}" version="{}">{}</layer>)", id, id, type, version, inside);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string pass_through_model() { return net(parameter(0) + result(1), edge(0, 0, 1, 0)); }

TEST(ReaderRejects, ConstantsOutsideTheBin) {
  expect_corrupt(constant_model("u8", "4", "253", "4"), "layer 0 'c0' (Const): its value is at bytes 253 to 253+4");
  expect_corrupt(constant_model("u8", "4", "18446744073709551615", "4"), "of the .bin file, which has 256");
  expect_corrupt(constant_model("u8", "4", "4", "18446744073709551615"), "of the .bin file, which has 256");
}

TEST(ReaderRejects, ConstantsSmallerThanTheirShape) {
  expect_corrupt(constant_model("f32", "2, 2", "0", "15"),
                 "layer 0 'c0' (Const): a f32 tensor of shape [2,2] needs 16 bytes, there are 15");
  expect_corrupt(constant_model("u4", "3", "0", "1"), "needs 2 bytes");
}

TEST(ReaderRejects, ShapesThatOverflow) {
  expect_corrupt(constant_model("f32", "9223372036854775807, 9223372036854775807", "0", "4"), "too many elements");
  expect_corrupt(constant_model("f64", "4611686018427387904", "0", "4"), "layer 0 'c0' (Const)");
  expect_corrupt(constant_model("f32", "4294967296, 4294967296", "0", "0"), "too many elements");
}

TEST(ReaderRejects, MalformedConstants) {
  expect_corrupt(constant_model("f32", "-1", "0", "4"), "negative dimension");
  expect_corrupt(constant_model("f32", "2; 2", "0", "16"), "is not a number");
  expect_corrupt(constant_model("f32", "", "-4", "4"), "are not numbers of bytes");
  expect_corrupt(constant_model("f33", "", "0", "4"), "is not an element type");
  expect_corrupt(constant_model("dynamic", "", "0", "4"), "dynamic type");
  expect_corrupt(replaced(constant_model("f32", "", "0", "4"), " offset=\"0\"", ""), "a Const needs the attribute offset");
}

TEST(ReaderRejects, RanksBeyondReason) {
  std::string shape = "1";
  for (int i = 0; i < 100000; ++i) shape += ",1";
  expect_refused(constant_model("u8", shape, "0", "1"), ErrorKind::unsupported, "rank 100001");
  std::string dynamic = replaced(pass_through_model(), "shape=\"?,2\"", "shape=\"" + shape + "\"");
  expect_refused(dynamic, ErrorKind::unsupported, "layer 0 'x0' (Parameter): output 0 has a rank beyond 64");
}

TEST(ReaderRejects, DuplicateLayerIds) {
  expect_corrupt(net(parameter(0) + parameter(5) + result(5), edge(0, 0, 5, 0)), "layer 5 'r5' (Result): layer 'x5' has the same id");
}

TEST(ReaderRejects, DuplicatePortIds) {
  std::string two = layer(1, "Result", R"(<input><port id="0"/><port id="0"/></input>)");
  expect_corrupt(net(parameter(0) + two, edge(0, 0, 1, 0)), "layer 1 'n1' (Result): has two ports with the id 0");
}

TEST(ReaderRejects, EdgesToNowhere) {
  expect_corrupt(net(parameter(0) + result(1), edge(2, 0, 1, 0)), "an edge names layer 2, which does not exist");
  expect_corrupt(net(parameter(0) + result(1), edge(0, 0, 9, 0)), "an edge names layer 9, which does not exist");
  expect_corrupt(net(parameter(0) + result(1), edge(0, 1, 1, 0)), "layer 0 'x0' (Parameter): an edge names its output port 1");
  expect_corrupt(net(parameter(0) + result(1), edge(0, 0, 1, 1)), "layer 1 'r1' (Result): an edge names its input port 1");
  expect_corrupt(net(parameter(0) + result(1), R"(<edge from-layer="zero"/>)"), "from-layer=\"zero\"");
}

TEST(ReaderRejects, TwoEdgesIntoOnePort) {
  expect_corrupt(net(parameter(0) + result(1), edge(0, 0, 1, 0) + edge(0, 0, 1, 0)),
                 "layer 1 'r1' (Result): two edges lead to input port 0");
}

TEST(ReaderRejects, PortsWithoutEdges) {
  expect_corrupt(net(parameter(0) + result(1), ""), "layer 1 'r1' (Result): no edge leads to input port 0");
}

TEST(ReaderRejects, Cycles) {
  std::string data = R"(<data variable_id="v"/><input><port id="0"/></input><output><port id="1"/></output>)";
  std::string layers = layer(0, "ReadValue", data, "opset6") + layer(1, "Assign", data, "opset6") + result(2);
  expect_corrupt(net(layers, edge(0, 1, 1, 0) + edge(1, 1, 0, 0) + edge(0, 1, 2, 0)), "(ReadValue): depends on itself");
  expect_corrupt(net(layers, edge(0, 1, 1, 0) + edge(0, 1, 0, 0) + edge(0, 1, 2, 0)), "layer 0 'n0' (ReadValue): depends on itself");
}

TEST(ReaderRejects, UnknownOperations) {
  std::string op = layer(1, "Frobnicate", R"(<input><port id="0"/></input><output><port id="1"/></output>)", "opset3");
  expect_refused(net(parameter(0) + op + result(2), edge(0, 0, 1, 0) + edge(1, 1, 2, 0)), ErrorKind::unsupported,
                 "layer 1 'n1' (Frobnicate): Nibble does not know this operation of opset3");
}

TEST(ReaderRejects, UnknownOperationSetsOfKnownOperations) {
  expect_refused(replaced(pass_through_model(), "opset1", "opset77"), ErrorKind::unsupported,
                 "layer 0 'x0' (Parameter): Parameter of opset77 is not known to Nibble");
  expect_corrupt(replaced(pass_through_model(), "version=\"opset1\"", ""), "layer 0 'x0' (Parameter): has no version");
}

TEST(ReaderRejects, OperationsWithBodies) {
  for (std::string_view type : {"TensorIterator", "Loop", "If"}) {
    std::string op = layer(1, type, R"(<input><port id="0"/></input><output><port id="1"/></output><body><layers/></body>)");
    expect_refused(net(parameter(0) + op + result(2), edge(0, 0, 1, 0) + edge(1, 1, 2, 0)), ErrorKind::unsupported,
                   fmt::format("layer 1 'n1' ({}): Nibble does not read operations with a body", type));
  }
}

TEST(ReaderRejects, LayersWithTooManyPorts) {
  std::string two = layer(1, "Result", R"(<input><port id="0"/><port id="1"/></input>)");
  expect_corrupt(net(parameter(0) + two, edge(0, 0, 1, 0) + edge(0, 0, 1, 1)), "layer 1 'n1' (Result): ");
  std::string outputs = layer(0, "Parameter", R"(<data shape="" element_type="f32"/><output><port id="0"/><port id="1"/></output>)");
  expect_corrupt(net(outputs + result(1), edge(0, 1, 1, 0)), "layer 0 'n0' (Parameter): lists 2 outputs and has 1");
}

TEST(ReaderRejects, MalformedLayersAndPorts) {
  expect_corrupt(replaced(pass_through_model(), "id=\"1\"", "id=\"-1\""), "layer 'r1' has the id '-1', which is no number");
  expect_corrupt(replaced(pass_through_model(), "type=\"Result\"", ""), "layer 1 'r1' (): has no type");
  expect_corrupt(replaced(pass_through_model(), "<port id=\"0\"/>", "<port/>"), "layer 1 'r1' (Result): input port id '' is no number");
  expect_corrupt(replaced(pass_through_model(), "<dim>-1</dim>", "<dim>-2</dim>"), "output port 0 has the dimension '-2'");
  expect_corrupt(replaced(pass_through_model(), "<dim>2</dim>", "<dim>2x</dim>"), "output port 0 has the dimension '2x'");
  expect_corrupt(replaced(pass_through_model(), "FP32", "FP33"), "output port 0 has the unknown precision FP33");
}

TEST(ReaderRejects, MalformedAttributes) {
  expect_corrupt(replaced(pass_through_model(), "?,2", "?,two"), "layer 0 'x0' (Parameter): '?,two' is not a shape");
  expect_corrupt(replaced(pass_through_model(), "shape=", "form="), "layer 0 'x0' (Parameter): a Parameter needs a shape");
  expect_corrupt(replaced(pass_through_model(), "shape=", "shape=\"\" shape="), "layer 0 'x0' (Parameter): attribute shape is there twice");
  std::string many;
  for (int i = 0; i < 300; ++i) many += fmt::format(" a{}=\"\"", i);
  expect_corrupt(replaced(pass_through_model(), " element_type=", many + " element_type="), "has more than 256 attributes");
}

TEST(ReaderRejects, ModelsWithoutResult) {
  expect_corrupt(net(parameter(0), ""), "the model has no Result");
  expect_corrupt(net("", ""), "the model has no Result");
}

TEST(ReaderRejects, OtherRootsAndVersions) {
  expect_corrupt("<html/>", "the root is <html>, not <net>");
  expect_corrupt(R"(<net version="11"/>)", "<net> has no <layers>");
  expect_refused(R"(<net version="7"><layers/></net>)", ErrorKind::unsupported, "IR version '7'");
  expect_refused(R"(<net><layers/></net>)", ErrorKind::unsupported, "IR version ''");
}

TEST(ReaderRejects, WhatIsNoXml) {
  expect_corrupt("", "not well-formed XML");
  expect_corrupt("{}", "not well-formed XML");
  expect_corrupt(std::string(1000, '\0'), "not well-formed XML");
  expect_corrupt(pass_through_model().substr(0, 200), "not well-formed XML");
}

TEST(ReaderRejects, DocumentTypesAndWithThemEntityBombs) {
  std::string bomb = R"(<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa">)";
  for (char c = 'b'; c < 'z'; ++c)
    bomb += fmt::format("<!ENTITY {} \"&{};&{};&{};&{};\">", c, char(c - 1), char(c - 1), char(c - 1), char(c - 1));
  expect_corrupt(bomb + "]>" + replaced(pass_through_model(), "<?xml version=\"1.0\"?>", ""), "an IR has no DOCTYPE");
}

TEST(Reader, UndeclaredEntitiesStayText) {
  Graph graph = read_text(replaced(pass_through_model(), "name=\"r1\"", "name=\"&bomb;\""));
  EXPECT_EQ(graph.results()[0]->name(), "&bomb;");
}

std::string nested(size_t depth, std::string_view tag) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += fmt::format("<{}>", tag);
  for (size_t i = 0; i < depth; ++i) text += fmt::format("</{}>", tag);
  return text;
}

TEST(ReaderRejects, DeepRtInfo) {
  std::string xml = net(parameter(0) + result(1), edge(0, 0, 1, 0), "<rt_info>" + nested(1000000, "a") + "</rt_info>");
  expect_corrupt(xml, "rt_info is nested deeper than 64 levels");
}

TEST(Reader, DepthElsewhereCostsNothing) {
  std::string xml = net(parameter(0) + result(1) + nested(1000000, "layers"), edge(0, 0, 1, 0));
  EXPECT_EQ(read_text(xml).nodes().size(), 2u);
}

TEST(ReaderRejects, DeepXmlThatIsNotClosed) {
  std::string text;
  for (int i = 0; i < 1000000; ++i) text += "<net>";
  expect_corrupt(text, "not well-formed XML");
}

TEST(ReaderRejects, XmlBeyondTheLimit) {
  ReadOptions options;
  options.max_xml_bytes = 100;
  EXPECT_THROW(read_ir(pass_through_model(), nullptr, {}, "test.xml", options), Error);
  ScratchDirectory directory;
  write_file(directory / "model.xml", pass_through_model());
  EXPECT_THROW(read_ir(directory / "model.xml", options), Error);
  EXPECT_NO_THROW(read_ir(directory / "model.xml"));
}

TEST(ReaderRejects, AMissingBinThatIsNeeded) {
  ScratchDirectory directory;
  write_file(directory / "model.xml", constant_model("u8", "4", "0", "4"));
  try {
    read_ir(directory / "model.xml");
    FAIL() << "was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_THAT(error.what(), HasSubstr("layer 0 'c0' (Const): its value is in the .bin file, which is missing"));
  }
}

TEST(ReaderRejects, AMissingXml) {
  ScratchDirectory directory;
  EXPECT_THROW(read_ir(directory / "model.xml"), Error);
}

TEST(ReaderRejects, AnOperationThatIsNotKnown) {
  ScratchDirectory directory;
  std::string xml = read_file(data_path("detokenizer/openvino_detokenizer.xml"), 1 << 20);
  xml.replace(xml.find("\"FuzeRagged\""), 12, "\"FuzeWildly\"");
  write_file(directory / "model.xml", xml);
  std::filesystem::copy_file(data_path("detokenizer/openvino_detokenizer.bin"), directory / "model.bin");
  try {
    read_ir(directory / "model.xml");
    FAIL() << "was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("Nibble does not know this operation of "));
  }
}

}  // namespace
}  // namespace nibble
