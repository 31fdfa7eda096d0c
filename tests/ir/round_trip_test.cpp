#include <gtest/gtest.h>

#include <pugixml.hpp>

#include "base/mapped_file.hpp"
#include "graph_text.hpp"
#include "ir/writer.hpp"

namespace nibble {
namespace {

/// Models that optimum-intel and NNCF exported: see their expected.json for versions.
class RoundTrip : public testing::TestWithParam<const char*> {
 protected:
  std::string source() const { return data_path(GetParam()) + "/openvino_model.xml"; }
};

TEST_P(RoundTrip, EveryOutputHasATypeAndARank) {
  Graph graph = read_ir(source());
  for (const auto& node : graph.nodes())
    for (size_t i = 0; i < node->output_count(); ++i) {
      EXPECT_NE(node->output_info(i).type, ElementType::dynamic) << describe(*node);
      EXPECT_TRUE(node->output_info(i).shape.rank_is_known()) << describe(*node);
    }
}

TEST_P(RoundTrip, ReadWriteReadGivesTheSameModel) {
  Graph graph = read_ir(source());
  ScratchDirectory directory;
  Context context;
  write_ir(graph, directory / "copy.xml", context);
  EXPECT_EQ(GraphText::of(read_ir(directory / "copy.xml")), GraphText::of(graph));
}

TEST_P(RoundTrip, WritingAgainGivesTheSameBytes) {
  ScratchDirectory directory;
  Context context;
  write_ir(read_ir(source()), directory / "one.xml", context);
  write_ir(read_ir(directory / "one.xml"), directory / "two.xml", context);
  EXPECT_EQ(read_file(directory / "one.xml"), read_file(directory / "two.xml"));
  EXPECT_EQ(read_file(directory / "one.bin"), read_file(directory / "two.bin"));
}

TEST_P(RoundTrip, TheBinStaysAboutAsSmallAsOpenVinos) {
  std::filesystem::path bin = data_path(GetParam()) + "/openvino_model.bin";
  EXPECT_LE(ir_bin_size(read_ir(source())), std::filesystem::file_size(bin) * 102 / 100);
}

/// The <dim>s and precisions that OpenVINO wrote are those that Nibble infers, port by port.
TEST_P(RoundTrip, InfersWhatOpenVinoInferred) {
  pugi::xml_document document;
  ASSERT_TRUE(document.load_file(source().c_str()));
  std::unordered_map<std::string, pugi::xml_node> layers;
  for (pugi::xml_node layer : document.child("net").child("layers").children()) layers[layer.attribute("name").value()] = layer;
  Graph graph = read_ir(source());
  for (const auto& node : graph.nodes()) {
    if (node->is("Result")) continue;
    size_t i = 0;
    for (pugi::xml_node port : layers.at(node->name()).child("output").children("port")) {
      Shape dims;
      for (pugi::xml_node dim : port.children("dim")) dims.push_back(dim.text().as_llong());
      EXPECT_EQ(to_precision(node->output_info(i).type), port.attribute("precision").value()) << describe(*node);
      EXPECT_EQ(to_string(node->output_info(i).shape), to_string(PartialShape(dims))) << describe(*node);
      ++i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RoundTrip,
                         testing::Values("llama-gqa-int4-sym-g32", "qwen2-int4-asym-g32", "phi3-longrope-long-fp32",
                                         "gemma2-int4-asym-g32-r60", "llama-gqa-nvfp4", "mixtral-int8", "matmul-int3-sym-g64"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace nibble
