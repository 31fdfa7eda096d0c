// Which weight of a whole model gets which precision: NNCF 3.4's answers in tests/data/compress/models.
#include <fmt/format.h>

#include "compress/weight_compression.hpp"
#include "fixture.hpp"
#include "ir/reader.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using nlohmann::json;

IgnoredScope scope_of(const json& value) {
  IgnoredScope scope;
  scope.names = value.value("names", std::vector<std::string>{});
  scope.patterns = value.value("patterns", std::vector<std::string>{});
  scope.types = value.value("types", std::vector<std::string>{});
  scope.validate = value.value("validate", true);
  return scope;
}

WeightCompression options_of(const json& value) {
  WeightCompression options{.mode = parse_compress_weights_mode(value["mode"].get<std::string>()).value()};
  for (const auto& [key, entry] : value.items()) {
    if (key == "group_size") options.group_size = entry.get<int64_t>();
    if (key == "ratio") options.ratio = entry.get<double>();
    if (key == "all_layers") options.all_layers = entry.get<bool>();
    if (key == "backup_mode") options.backup = parse_backup_mode(entry.get<std::string>()).value();
    if (key == "sensitivity_metric") options.sensitivity_metric = parse_sensitivity_metric(entry.get<std::string>()).value();
    if (key == "ignored_scope") options.ignored_scope = scope_of(entry);
    if (key == "group_size_fallback_mode") options.group_size_fallback = parse_group_size_fallback_mode(entry.get<std::string>()).value();
    if (key == "min_adjusted_group_size") options.min_adjusted_group_size = entry.get<int64_t>();
  }
  return options;
}

std::string label(const WeightReport& weight) {
  return weight.config ? std::string(to_string(weight.config->mode)) + "/" + std::to_string(weight.config->group_size) : "float";
}

void check_assignment(const CompressionReport& report, const json& test, const json& weights) {
  std::map<std::string, std::string> expected, found;
  std::map<std::string, bool> defining, found_defining;
  for (const auto& [config, indices] : test["assigned"].items())
    for (size_t i : indices) expected[weights[i]["weight"]] = config, defining[weights[i]["weight"]] = false;
  for (size_t i : test["ratio_defining"]) defining[weights[i]["weight"]] = true;
  for (const auto& weight : report.weights) found[weight.name] = label(weight), found_defining[weight.name] = weight.ratio_defining;
  EXPECT_EQ(found, expected);
  EXPECT_EQ(found_defining, defining);
}

/// The XML of an rt_info element, white space left out.
std::string xml_text(const RtInfo& info) {
  if (info.is_leaf) return fmt::format("<{} value=\"{}\" />", info.name, info.value);
  std::string children;
  for (const auto& child : info.children) children += xml_text(child);
  return fmt::format("<{0}>{1}</{0}>", info.name, children);
}

std::string without_layout(const std::string& xml) {
  std::string text;
  for (char c : xml)
    if (c != '\n' && c != '\t') text += c;
  return text;
}

/// A refusal leaves the graph as it was.
void check_refusal(Graph& graph, const WeightCompression& options, ErrorKind kind, Progress* progress = nullptr) {
  size_t nodes = graph.nodes().size();
  Context context({.threads = 1, .log = {}});
  try {
    compress_weights(graph, options, context, progress);
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
    if (test.contains("error")) {
      check_refusal(graph, options_of(test["options"]), ErrorKind::invalid_argument);
      continue;
    }
    CompressionReport report = compress_weights(graph, options_of(test["options"]), context_);
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
