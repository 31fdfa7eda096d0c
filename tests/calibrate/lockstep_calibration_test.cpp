#include "calibrate/lockstep_calibration.hpp"

#include "calibration_models.hpp"
#include "checkpoint/weight_source.hpp"
#include "expect_error.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::calibrated;
using test::data_path;
using test::difference;
using test::fails;
using test::Samples;

namespace {

const LockstepOptions kF32{1'000'000'000, {}, ProductPrecision::f32};

Graph fixture(const std::string& name) { return read_ir(data_path("compress/models/" + name + ".xml")); }

Samples rows_of(const Tensor& tokens) {
  auto ids = to_int64s(tokens);
  auto width = static_cast<std::ptrdiff_t>(tokens.shape()[1]);
  Samples rows;
  for (auto at = ids.begin(); at != ids.end(); at += width) rows.emplace_back(at, at + width);
  return rows;
}

/// Means over tokens, [columns], in f64.
std::vector<double> means(const Tensor& activations) {
  auto columns = static_cast<size_t>(activations.shape().back());
  std::vector<double> sums(columns);
  auto values = activations.as<float>();
  for (size_t i = 0; i < values.size(); ++i) sums[i % columns] += static_cast<double>(values[i]);
  for (double& sum : sums) sum /= static_cast<double>(values.size() / columns);
  return sums;
}

/// How far the means are from those that NNCF took, relative to their root mean square.
double mean_difference(ProductPrecision precision) {
  auto expected = open_safetensors(data_path("calibrate/llama.safetensors"));
  Graph graph = fixture("llama");
  auto values = calibrated(graph, rows_of(expected->get("tokens")), {1'000'000'000, {}, precision});
  double off = 0, size = 0;
  size_t compared = 0;
  for (const auto& [layer, samples] : values) {
    if (!expected->contains("mean." + layer)) continue;
    Tensor rows = expected->get("mean." + layer).aligned();
    for (size_t s = 0; s < samples.size(); ++s) {
      std::vector<double> got = means(samples[s]);
      for (size_t c = 0; c < got.size(); ++c) {
        double want = static_cast<double>(rows.as<float>()[s * got.size() + c]);
        off += (got[c] - want) * (got[c] - want);
        size += want * want;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 12u * 128u * 21u);
  return std::sqrt(off / size);
}

TEST(LockstepCalibration, GivesTheMeansThatNncfSees) { EXPECT_LT(mean_difference(ProductPrecision::f32), 1e-5); }

TEST(LockstepCalibration, InBf16MeansAreWithinItsRounding) { EXPECT_LT(mean_difference(ProductPrecision::bf16), 6e-3); }

class LockstepModels : public testing::TestWithParam<std::string> {};

TEST_P(LockstepModels, LayersReadWhatTheReferenceComputes) {
  Graph graph = fixture(GetParam());
  Samples samples = test::random_samples({7, 12, 7, 1, 30}, 250);
  auto expected = test::reference(fixture(GetParam()), samples);
  EXPECT_LT(difference(calibrated(graph, samples, kF32), expected), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, LockstepModels, testing::Values("llama", "gpt2", "qwen2_moe"));

/// Bits of every layer's input.
bool are_same(const test::LayerValues& a, const test::LayerValues& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           auto same = [](const Tensor& s, const Tensor& t) { return s.shape() == t.shape() && std::ranges::equal(s.bytes(), t.bytes()); };
           return x.first == y.first && std::equal(x.second.begin(), x.second.end(), y.second.begin(), y.second.end(), same);
         });
}

TEST(LockstepCalibration, ThreadsAndMemoryLimitChangeNoBits) {
  Graph graph = fixture("llama");
  Samples samples = test::random_samples({20, 9, 20, 33}, 250);
  auto expected = calibrated(graph, samples, kF32, 1);
  test::ScratchDirectory scratch;
  EXPECT_TRUE(are_same(calibrated(graph, samples, kF32, 3), expected));
  EXPECT_TRUE(are_same(calibrated(graph, samples, {0, scratch.path(), ProductPrecision::f32}, 2), expected));
  EXPECT_TRUE(test::listing(scratch.path()).empty());
}

/// As many as let each of two threads take some through a layer by itself, short ones together.
Samples many_samples() { return test::random_samples({100, 60, 30, 5, 96, 130, 110, 97, 20, 20, 20, 20, 20, 99, 101, 120, 96, 7}, 250); }

TEST(LockstepCalibration, SamplesThatThreadsTakeAloneChangeNoBits) {
  Graph graph = fixture("llama");
  Samples samples = many_samples();
  auto alone = calibrated(graph, samples, kF32, 2), together = calibrated(graph, samples, kF32, 8);
  EXPECT_TRUE(are_same(alone, together));
  EXPECT_LT(difference(alone, test::reference(fixture("llama"), samples)), 2e-5);
  test::ScratchDirectory scratch;
  EXPECT_TRUE(are_same(calibrated(graph, samples, {0, scratch.path(), ProductPrecision::f32}, 2), together));
}

TEST(LockstepCalibration, StackedExpertsOfManySamplesAreThoseOfTheReference) {
  Graph graph = fixture("qwen2_moe");
  EXPECT_LT(difference(calibrated(graph, many_samples(), kF32), test::reference(fixture("qwen2_moe"), many_samples())), 2e-5);
}

TEST(LockstepCalibration, GroupsOfSamplesChangeNoBits) {
  Graph graph = fixture("llama");
  Samples samples = test::random_samples({20, 9, 20, 33, 2, 7}, 250);
  auto expected = calibrated(graph, samples, kF32, 1);
  test::ScratchDirectory scratch;
  Context context({2, {}});
  LockstepCalibration calibration(samples, context, nullptr, {0, scratch.path(), ProductPrecision::f32, 25});
  test::LayerValues values;
  std::map<std::string, std::vector<size_t>> counts;
  calibration.observe(graph, test::layers_of(graph), [&](Node& layer, const LayerInputs& inputs) {
    counts[layer.name()].push_back(inputs.count());
    for (size_t i = 0; i < inputs.count(); ++i) values[layer.name()].push_back(inputs.sample(i).clone());
  });
  EXPECT_TRUE(are_same(values, expected));
  for (const auto& [layer, groups] : counts) EXPECT_EQ(groups, (std::vector<size_t>{2, 1, 1, 2})) << layer;
}

class LockstepIrs : public testing::TestWithParam<std::string> {};

TEST_P(LockstepIrs, CompressedWeightsAreMultipliedAsTheReferenceDoes) {
  auto path = data_path("ir/" + GetParam() + "/openvino_model.xml");
  Graph graph = read_ir(path);
  Samples samples = test::random_samples({11, 5}, 100);
  EXPECT_LT(difference(calibrated(graph, samples, kF32), test::reference(read_ir(path), samples)), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Irs, LockstepIrs,
                         testing::Values("bloom-int8", "gemma2-int4-asym-g32-r60", "llama-gqa-int4-sym-g32", "llama-gqa-nvfp4",
                                         "mixtral-int8", "phi3-longrope-long-fp32", "qwen2-int4-asym-g32", "qwen3_moe-int4-sym-channel"));

/// Doubles the weights of a layer, as something that decompresses them might.
void double_weight(Graph& graph, Node& layer) {
  Value weight = layer.input(1);
  Value two = graph.add_constant(Tensor::scalar(2.0f), layer.name() + "/two").output();
  layer.set_input(1, graph.add("Multiply", {weight, two}, {}, layer.name() + "/doubled").output());
}

TEST(LockstepCalibration, LaterLayersSeeWhatTheVisitorPutInPlaceOfAWeight) {
  const std::string changed = "__module.model.layers.0.self_attn.v_proj/ov_ext::linear/MatMul";
  Samples samples = test::random_samples({8, 13}, 250);
  Graph expected = fixture("llama");
  for (Node* layer : test::layers_of(expected))
    if (layer->name() == changed) double_weight(expected, *layer);
  Graph graph = fixture("llama");
  Context context({2, {}});
  test::LayerValues values;
  LockstepCalibration(samples, context, nullptr, kF32).run(graph, test::layers_of(graph), [&](Node& layer, const LayerInputs& inputs) {
    for (size_t i = 0; i < inputs.count(); ++i) values[layer.name()].push_back(inputs.sample(i).clone());
    if (layer.name() == changed) double_weight(graph, layer);
  });
  EXPECT_LT(difference(values, test::reference(std::move(expected), samples)), 2e-5);
}

TEST(LockstepCalibration, VisitsOnlyTheLayersAskedForInTheirOrder) {
  Graph graph = fixture("llama");
  auto layers = test::layers_of(graph);
  std::vector<Node*> asked{layers[9], layers[2]}, seen;
  Context context({2, {}});
  LockstepCalibration calibration(test::random_samples({6}, 250), context, nullptr, kF32);
  calibration.run(graph, asked, [&](Node& layer, const LayerInputs& inputs) {
    seen.push_back(&layer);
    EXPECT_EQ(inputs.count(), 1u);
  });
  EXPECT_EQ(seen, (std::vector<Node*>{layers[2], layers[9]}));
}

/// Cancels when it is asked for the n-th time.
class CancelLater : public Progress {
 public:
  explicit CancelLater(int calls) : calls_(calls) {}
  void begin(std::string_view, uint64_t, std::string_view) override {}
  void advance(uint64_t) override {}
  void end() override {}
  bool cancelled() const override { return --calls_ <= 0; }

 private:
  mutable int calls_;
};

TEST(LockstepCalibration, CanBeCancelled) {
  Graph graph = fixture("llama");
  Context context({2, {}});
  CancelLater progress(7);
  LockstepCalibration calibration(test::random_samples({6}, 250), context, &progress);
  EXPECT_TRUE(fails(ErrorKind::cancelled, {}, [&] { calibration.run(graph, test::layers_of(graph), [](Node&, const LayerInputs&) {}); }));
}

TEST(LockstepCalibration, CanBeCancelledWhileThreadsGoAlone) {
  Graph graph = fixture("llama");
  Context context({2, {}});
  for (int calls : {10, 40, 60}) {
    CancelLater progress(calls);
    LockstepCalibration calibration(many_samples(), context, &progress);
    EXPECT_TRUE(fails(ErrorKind::cancelled, {}, [&] { calibration.run(graph, test::layers_of(graph), [](Node&, const LayerInputs&) {}); }));
  }
}

void run_plainly(Graph& graph, const Samples& samples, const std::vector<Node*>& layers) {
  Context context({1, {}});
  LockstepCalibration(samples, context).run(graph, layers, [](Node&, const LayerInputs&) {});
}

TEST(LockstepCalibration, RefusesWhatItCannotRun) {
  Context context({1, {}});
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"at least one sample"}, [&] { LockstepCalibration({}, context); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"no tokens"}, [&] { LockstepCalibration({{1}, {}}, context); }));
  Graph graph = fixture("llama"), other = fixture("llama");
  auto layers = test::layers_of(graph);
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"row 384", "embed_tokens"}, [&] { run_plainly(graph, {{5, 384}}, layers); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"twice"}, [&] { run_plainly(graph, {{5}}, {layers[0], layers[0]}); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"not reached"}, [&] { run_plainly(graph, {{5}}, {test::layers_of(other)[0]}); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"weight"}, [&] {
    run_plainly(graph, {{5}}, {graph.of_type("Softmax").empty() ? graph.of_type("Gather")[0] : graph.of_type("Softmax")[0]});
  }));
}

TEST(LockstepCalibration, NamesAnInputThatItHasNothingFor) {
  Graph graph;
  Value pixels = graph.add_parameter(ElementType::f32, Shape{-1, 4}, "pixel_values").output();
  Value weight = graph.add_constant(Tensor(ElementType::f32, {3, 4}), "weight").output();
  Node& layer = graph.add("MatMul", {pixels, weight}, {{"transpose_a", "false"}, {"transpose_b", "true"}}, "layer");
  graph.add("Result", {layer.output()});
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"pixel_values", "input_ids"}, [&] { run_plainly(graph, {{5}}, {&layer}); }));
}

TEST(LockstepCalibration, RefusesInputsOfManyRows) {
  Graph graph;
  Value ids = graph.add_parameter(ElementType::i64, Shape{1 << 20, -1}, "input_ids").output();
  Value floats = graph.add("Convert", {ids}, {{"destination_type", "f32"}}).output();
  Value weight = graph.add_constant(Tensor(ElementType::f32, {3, 2}), "weight").output();
  Node& layer = graph.add("MatMul", {floats, weight}, {{"transpose_a", "false"}, {"transpose_b", "true"}}, "layer");
  graph.add("Result", {layer.output()});
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"input_ids", "one sequence"}, [&] { run_plainly(graph, {{5, 6}}, {&layer}); }));
}

/// ids -> embedding -> repeated for every expert -> a stack of products, added up -> a last product with weights [columns, rows].
Graph stacked_experts() {
  constexpr int64_t kExperts = 3, kColumns = 40, kRows = 24;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  auto constant = [&](Graph& graph, Shape shape, const std::string& name) {
    Tensor tensor(ElementType::f32, std::move(shape));
    for (float& value : tensor.as_mutable<float>()) value = normal(random);
    return graph.add_constant(tensor, name).output();
  };
  auto integers = [](Graph& graph, std::vector<int64_t> values, const std::string& name) {
    return graph.add_constant(Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values), name).output();
  };
  Graph graph;
  Value ids = graph.add_parameter(ElementType::i64, Shape{-1, -1}, "input_ids").output();
  Value axis = graph.add_constant(Tensor::scalar<int64_t>(0), "axis").output();
  Value x = graph.add("Gather", {constant(graph, {50, kColumns}, "table"), ids, axis}).output();
  Value tiled =
      graph.add("Tile", {graph.add("Squeeze", {x, integers(graph, {0}, "first")}).output(), integers(graph, {kExperts, 1}, "repeats")})
          .output();
  Value stacked = graph.add("Reshape", {tiled, integers(graph, {kExperts, -1, kColumns}, "stacked")}, {{"special_zero", "false"}}).output();
  Attributes product{{"transpose_a", "false"}, {"transpose_b", "true"}};
  Value up = graph.add("MatMul", {stacked, constant(graph, {kExperts, kRows, kColumns}, "up")}, product, "up_layer").output();
  Value sum = graph.add("ReduceSum", {up, integers(graph, {0}, "experts")}, {{"keep_dims", "false"}}).output();
  Attributes plain{{"transpose_a", "false"}, {"transpose_b", "false"}};
  Value down = graph.add("MatMul", {sum, constant(graph, {kRows, kColumns}, "down")}, plain, "down_layer").output();
  Value last = graph.add("MatMul", {down, constant(graph, {kExperts, kColumns, 8}, "last")}, plain, "last_layer").output();
  Value more = graph.add("MatMul", {last, constant(graph, {5, 8}, "more")}, product, "more_layer").output();
  graph.add("Result", {more});
  return graph;
}

TEST(LockstepCalibration, RunsStacksOfExpertsAndWeightsStoredByColumns) {
  Graph graph = stacked_experts();
  Samples samples = test::random_samples({4, 9, 4}, 50);
  auto values = calibrated(graph, samples, kF32);
  EXPECT_EQ(values.at("up_layer")[1].shape(), (Shape{3, 9, 40}));
  EXPECT_EQ(values.size(), 4u);
  EXPECT_LT(difference(values, test::reference(stacked_experts(), samples)), 1e-5);
}

}  // namespace
}  // namespace nibble
