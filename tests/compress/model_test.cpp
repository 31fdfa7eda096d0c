// Which weight of a whole model gets which precision: NNCF 3.4's answers in tests/data/compress/models.
#include "ir/reader.hpp"
#include "lockstep.hpp"
#include "model_cases.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using nlohmann::json;
using test::check_assignment;
using test::options_of;
using test::without_layout;
using test::xml_text;

/// A refusal leaves the graph as it was.
void check_refusal(Graph& graph, const WeightCompression& options, ErrorKind kind, Progress* progress = nullptr,
                   Calibration* calibration = nullptr) {
  size_t nodes = graph.nodes().size();
  Context context({.threads = 1, .log = {}});
  try {
    compress_weights(graph, options, context, progress, calibration);
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
  }
  EXPECT_EQ(graph.nodes().size(), nodes);
  EXPECT_EQ(graph.rt_info().find("nncf"), nullptr);
}

class Models : public testing::TestWithParam<const char*> {
 protected:
  Graph read() const { return read_ir(test::data_path(std::string("models/") + GetParam() + ".xml")); }
  json index() const { return test::read_json(std::string("models/") + GetParam() + ".json"); }
  Context context_{{.threads = 2, .log = {}}};
};

TEST_P(Models, FindsTheWeightsInNncfsOrder) {
  Graph graph = read();
  json expected = index()["weights"];
  CompressionReport report = compress_weights(graph, {}, context_);
  std::vector<std::string> names, layers;
  for (const auto& weight : report.weights) names.push_back(weight.name), layers.push_back(weight.layer);
  std::vector<std::string> expected_names, expected_layers;
  for (const json& weight : expected) expected_names.push_back(weight["weight"]), expected_layers.push_back(weight["layer"]);
  // The reference lists weights that are never compressed last.
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(expected_names));
  EXPECT_THAT(layers, testing::UnorderedElementsAreArray(expected_layers));
  std::erase_if(names, [](const std::string& name) { return name.find("rotary") != std::string::npos; });
  std::erase_if(expected_names, [](const std::string& name) { return name.find("rotary") != std::string::npos; });
  EXPECT_EQ(names, expected_names);
}

TEST_P(Models, AssignsPrecisionsAsNncf) {
  json data = index();
  for (const json& test : data["cases"]) {
    SCOPED_TRACE(test["options"].dump());
    Graph graph = read();
    test::Lockstep calibration(data["calibration"].get<test::Lockstep::Rows>());
    Calibration* given = test["options"].value("dataset", false) ? &calibration : nullptr;
    if (test.contains("error")) {
      check_refusal(graph, options_of(test["options"]), ErrorKind::invalid_argument, nullptr, given);
      continue;
    }
    CompressionReport report = compress_weights(graph, options_of(test["options"]), context_, nullptr, given);
    check_assignment(report, test, data["weights"]);
    EXPECT_EQ(xml_text(*graph.rt_info().find("nncf")), without_layout(test["rt_info"]));
  }
}

class Cancelling final : public Progress {
 public:
  void begin(std::string_view, uint64_t total, std::string_view) override { EXPECT_GT(total, 3u); }
  void advance(uint64_t units) override { done += units; }
  void end() override {}
  bool cancelled() const override { return done == 3; }
  uint64_t done = 0;
};

TEST_P(Models, StopsWhenAskedTo) {
  Graph graph = read();
  Cancelling progress;
  check_refusal(graph, {.mode = CompressWeightsMode::int4_sym, .group_size = 64, .ratio = 0.5}, ErrorKind::cancelled, &progress);
  EXPECT_EQ(progress.done, 3u);
}

TEST_P(Models, CompressesOnlyOnce) {
  Graph graph = read();
  WeightCompression options{.mode = CompressWeightsMode::int4_sym, .group_size = 64};
  compress_weights(graph, options, context_);
  size_t nodes = graph.nodes().size();
  for (const auto& weight : compress_weights(graph, options, context_).weights) EXPECT_FALSE(weight.config) << weight.name;
  EXPECT_EQ(graph.nodes().size(), nodes);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Models, testing::Values("llama", "qwen2_moe", "gpt2"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace nibble
