#include "calibrate/weight_trials.hpp"

#include "calibrate/token_distribution.hpp"
#include "calibration_models.hpp"
#include "compress/precision_ladder.hpp"
#include "compress/weight_compression.hpp"
#include "expect_error.hpp"

namespace nibble {

namespace {

using Outcomes = std::map<std::string, TrialOutcome>;

Graph fixture(const std::string& name) { return read_ir(test::data_path("compress/models/" + name + ".xml")); }

LadderOptions ladder_options() {
  LadderOptions options;
  options.lowest.mode = CompressWeightsMode::int4_asym;
  options.lowest.group_size = 32;
  return options;
}

std::vector<WeightTrial> trials_of(const std::vector<LadderWeight>& ladder) {
  std::vector<WeightTrial> trials;
  for (const LadderWeight& weight : ladder)
    for (const WeightedLayer& reader : weight.readers) {
      std::vector<WeightConfig> configs;
      for (const LadderRung& rung : weight.rungs)
        if (rung.config) configs.push_back(*rung.config);
      trials.push_back({reader.layer, configs.size(), [&weight, reader, configs](size_t index) {
                          return copy_compressed(weight, reader, configs[index], levels_of(ladder_options().lowest));
                        }});
    }
  return trials;
}

Outcomes outcomes_of(Graph& graph, const test::Samples& samples, size_t branched, int threads = 2, size_t memory = 1'000'000'000) {
  Context context({threads, {}});
  auto ladder = precision_ladder(graph, ladder_options());
  TrialOptions options{branched, {memory, {}, ProductPrecision::f32}};
  Outcomes outcomes;
  for (auto& [layer, outcome] : try_weights(graph, samples, trials_of(ladder), options, context, nullptr))
    outcomes[layer->name()] = outcome;
  return outcomes;
}

Tensor logits_of(Graph graph, const std::vector<int64_t>& ids) {
  Context context({2, {}});
  auto model = find_device("REFERENCE").compile(std::move(graph), {}, context);
  auto request = model->create_request();
  test::set_prompt(*model, *request, ids);
  request->infer();
  return request->output("logits").clone();
}

/// With the smallest precision in one weight.
Graph compressed(Graph graph, const std::string& constant, const WeightConfig& config) {
  Context context({2, {}});
  WeightCompression options = ladder_options().lowest;
  options.assigned = AssignedPrecisions{{constant, config}};
  compress_weights(graph, options, context);
  return graph;
}

class WeightTrials : public testing::TestWithParam<std::string> {};

TEST_P(WeightTrials, DivergencesAreThoseOfTheModelWithOneWeightCompressed) {
  test::Samples samples = test::random_samples({9, 14, 6}, 250);
  Graph graph = fixture(GetParam());
  Outcomes outcomes = outcomes_of(graph, samples, 2);
  auto ladder = precision_ladder(graph, ladder_options());
  ThreadPool threads(2);
  std::vector<Tensor> expected;
  for (size_t s = 0; s < 2; ++s) expected.push_back(log_probabilities(logits_of(fixture(GetParam()), samples[s]), threads));
  size_t compared = 0;
  for (const LadderWeight& weight : ladder) {
    auto found = outcomes.find(weight.readers.front().layer->name());
    if (weight.readers.size() != 1 || !weight.rungs.front().config || found == outcomes.end()) continue;
    double sum = 0;
    for (size_t s = 0; s < 2; ++s) {
      Graph changed = compressed(fixture(GetParam()), weight.constant->name(), *weight.rungs.front().config);
      sum += distance(expected[s], logits_of(std::move(changed), samples[s]), threads).kl_sum;
    }
    EXPECT_NEAR(found->second.divergence, sum / 23, 1e-3 * sum / 23 + 1e-8) << weight.constant->name();
    ++compared;
  }
  EXPECT_GE(compared, 8u);
}

INSTANTIATE_TEST_SUITE_P(Models, WeightTrials, testing::Values("llama", "gpt2", "qwen2_moe"));

TEST(WeightTrials, FinerPrecisionsAreLessOff) {
  Graph graph = fixture("llama");
  for (const auto& [layer, outcome] : outcomes_of(graph, test::random_samples({40, 40}, 250), 1)) {
    ASSERT_EQ(outcome.errors.size(), 2u) << layer;
    EXPECT_GT(outcome.errors[0], 30 * outcome.errors[1]) << layer;  // 4 bits and 8 bits
    EXPECT_GT(outcome.errors[1], 0) << layer;
    EXPECT_GT(outcome.divergence, 0) << layer;
  }
}

void expect_same(const Outcomes& a, const Outcomes& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [layer, outcome] : a) {
    EXPECT_EQ(outcome.errors, b.at(layer).errors) << layer;
    EXPECT_EQ(outcome.divergence, b.at(layer).divergence) << layer;
  }
}

TEST(WeightTrials, DoNotDependOnThreadsOrMemory) {
  Graph graph = fixture("llama");
  test::Samples samples = test::random_samples({20, 7, 20, 11}, 250);
  Outcomes expected = outcomes_of(graph, samples, 3, 1);
  expect_same(outcomes_of(graph, samples, 3, 3), expected);
  expect_same(outcomes_of(graph, samples, 3, 2, 1), expected);
}

TEST(WeightTrials, LeaveTablesOfPositionsOut) {
  Graph graph = fixture("gpt2");
  Outcomes outcomes = outcomes_of(graph, test::random_samples({8}, 250), 1);
  size_t tables = 0, tried = 0;
  for (const LadderWeight& weight : precision_ladder(graph, ladder_options()))
    for (const WeightedLayer& reader : weight.readers)
      if (reader.kind == LayerKind::embedding) ++tables, tried += outcomes.count(reader.layer->name());
  EXPECT_EQ(tables, 2u);
  EXPECT_EQ(tried, 1u);
}

TEST(WeightTrials, NeedLogits) {
  Graph graph = fixture("llama");
  for (Node* result : graph.results()) {
    result->output_info().names.clear();
    result->set_name("other");
    result->input(0).node->output_info(result->input(0).index).names.clear();
  }
  EXPECT_TRUE(test::fails(ErrorKind::unsupported, {"logits"}, [&] { outcomes_of(graph, {{1, 2, 3}}, 1); }));
}

}  // namespace
}  // namespace nibble
