// What AWQ does to a graph: the outputs must stay those of the model.
#include <cmath>
#include <random>

#include "compress/weight_compression.hpp"
#include "fixture.hpp"
#include "lockstep.hpp"
#include "nibble/error.hpp"
#include "tensor/convert.hpp"

namespace nibble {
namespace {

constexpr int64_t kWidth = 32, kRows = 48;

Tensor random_tensor(Shape shape, unsigned seed, float width = 1) {
  Tensor tensor(ElementType::f32, std::move(shape));
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, width);
  for (float& value : tensor.as_mutable<float>()) value = normal(random);
  return tensor;
}

/// x -> [MatMul] -> activation or Multiply -> MatMul -> Result, put together by the tests.
struct Net {
  Graph graph;
  Node* x = &graph.add_parameter(ElementType::f32, {1, kDynamic, kWidth}, "x");

  Value matmul(Value input, const std::string& name, unsigned seed, Shape shape = {kRows, kWidth}, bool transposed = true) {
    Node& weight = graph.add_constant(random_tensor(std::move(shape), seed), name + ".weight");
    return graph.add("MatMul", {input, weight.output()}, {{"transpose_a", "false"}, {"transpose_b", transposed ? "true" : "false"}}, name)
        .output();
  }
  Value op(const std::string& type, std::vector<Value> inputs, const std::string& name) {
    Attributes attributes;
    if (type == "Multiply") attributes = Attributes{{"auto_broadcast", "numpy"}};
    return graph.add(type, std::move(inputs), attributes, name).output();
  }
  void result(Value value) { graph.add("Result", {value}, {}, "result"); }

  std::vector<Tensor> samples() const {
    std::vector<Tensor> tensors;
    for (unsigned i = 0; i < 4; ++i) tensors.push_back(random_tensor({1, 6, kWidth}, 100 + i));
    return tensors;
  }
  std::vector<float> outputs() {
    test::Lockstep run(samples());
    std::vector<float> all;
    for (const Tensor& tensor : run.outputs(graph))
      for (float value : to_floats(tensor)) all.push_back(value);
    return all;
  }
  Node* find(const std::string& name) const {
    for (const auto& node : graph.nodes())
      if (node->name() == name) return node.get();
    return nullptr;
  }
};

/// int4_sym loses about a tenth; a forgotten or doubled scale loses everything.
void check_outputs(Net& net, const std::vector<float>& before) {
  auto after = net.outputs();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < before.size(); ++i)
    difference += std::pow(static_cast<double>(after[i]) - before[i], 2), norm += std::pow(static_cast<double>(before[i]), 2);
  EXPECT_LT(std::sqrt(difference / norm), 0.25);
}

WeightCompression options() { return {.mode = CompressWeightsMode::int4_sym, .group_size = 16, .all_layers = true, .awq = true}; }

class AwqGraph : public testing::TestWithParam<bool> {
 protected:
  void compress(Net& net, WeightCompression options) {
    test::Lockstep calibration(net.samples());
    compress_weights(net.graph, options, context_, nullptr, GetParam() ? &calibration : nullptr);
  }
  Context context_{{.threads = 2, .log = {}}};
};

TEST_P(AwqGraph, PutsAMultiplyAfterAnActivation) {
  Net net;
  Value active = net.op("Relu", {net.x->output()}, "act");
  net.result(net.matmul(active, "layer", 1));
  auto before = net.outputs();
  compress(net, options());
  check_outputs(net, before);
  Node* multiply = net.find("act/awq_mul");
  ASSERT_NE(multiply, nullptr);
  EXPECT_EQ(multiply->input(0), active);
  EXPECT_EQ(net.find("layer")->input(0), multiply->output());
  EXPECT_EQ(net.find("act/awq_mul/scale")->constant().shape(), (Shape{1, 1, kWidth}));
}

TEST_P(AwqGraph, ScalesAnActivationThatIsMultiplied) {
  Net net;
  Value active = net.op("Swish", {net.x->output()}, "act");
  Value gated = net.op("Multiply", {active, net.x->output()}, "gated");
  net.result(net.matmul(gated, "layer", 1));
  auto before = net.outputs();
  compress(net, options());
  check_outputs(net, before);
  ASSERT_NE(net.find("act/awq_mul"), nullptr);
  EXPECT_EQ(net.find("gated")->input(0).node, net.find("act/awq_mul"));
}

TEST_P(AwqGraph, LeavesOtherReadersOfAnActivationAlone) {
  Net net;
  Value active = net.op("Relu", {net.x->output()}, "act");
  Value sum = net.op("Add", {net.matmul(active, "layer", 1, {kWidth, kWidth}), active}, "sum");
  net.result(sum);
  auto before = net.outputs();
  compress(net, options());
  check_outputs(net, before);
  EXPECT_EQ(net.find("sum")->input(1), active);
}

TEST_P(AwqGraph, DividesTheRowsOfTheMatMulBefore) {
  for (bool transposed : {true, false}) {
    Net net;
    Value up = net.matmul(net.x->output(), "up", 1, transposed ? Shape{kRows, kWidth} : Shape{kWidth, kRows}, transposed);
    Value gate = net.op("Swish", {net.matmul(net.x->output(), "gate", 2)}, "act");
    Value gated = net.op("Multiply", {up, gate}, "gated");
    net.result(net.matmul(gated, "down", 3, {kWidth, kRows}));
    auto before = net.outputs();
    compress(net, options());
    check_outputs(net, before);
    EXPECT_EQ(net.find("act/awq_mul"), nullptr) << transposed;
    EXPECT_EQ(net.find("gated")->input(0).node->name(), "up");
  }
}

TEST_P(AwqGraph, LeavesAProductAloneThatIsReadTwice) {
  Net net;
  Value up = net.matmul(net.x->output(), "up", 1);
  Value gated = net.op("Multiply", {up, net.op("Swish", {net.matmul(net.x->output(), "gate", 2)}, "act")}, "gated");
  Value down = net.matmul(gated, "down", 3, {kRows, kRows});
  net.result(net.op("Add", {down, gated}, "sum"));
  auto before = net.outputs();
  compress(net, options());
  check_outputs(net, before);
  EXPECT_EQ(net.find("act/awq_mul"), nullptr);
}

TEST_P(AwqGraph, ScalesExpertsEachByItself) {
  Net net;
  Node& three = net.graph.add_constant(Tensor::from<int64_t>({3}, std::vector<int64_t>{3, 1, 1}), "repeats");
  Value tiled = net.op("Tile", {net.x->output(), three.output()}, "tiled");
  Value up = net.matmul(tiled, "up", 1, {3, kRows, kWidth}), gate = net.matmul(tiled, "gate", 2, {3, kRows, kWidth});
  Value gated = net.op("Multiply", {up, net.op("Swish", {gate}, "act")}, "gated");
  net.result(net.matmul(gated, "down", 3, {3, kWidth, kRows}));
  auto before = net.outputs();
  WeightCompression all = options();
  if (GetParam()) all.scale_estimation = true;
  compress(net, all);
  check_outputs(net, before);
}

INSTANTIATE_TEST_SUITE_P(Data, AwqGraph, testing::Bool(), [](const auto& test) { return test.param ? "With" : "Without"; });

TEST(GptqGraph, TakesExpertsAndTransposedWeights) {
  Context context({.threads = 2, .log = {}});
  for (bool estimate : {false, true}) {
    Net net;
    Node& three = net.graph.add_constant(Tensor::from<int64_t>({3}, std::vector<int64_t>{3, 1, 1}), "repeats");
    Value tiled = net.op("Tile", {net.matmul(net.x->output(), "first", 1, {kWidth, kWidth}, false), three.output()}, "tiled");
    net.result(net.matmul(tiled, "experts", 2, {3, kRows, kWidth}));
    auto before = net.outputs();
    test::Lockstep calibration(net.samples());
    WeightCompression options{
        .mode = CompressWeightsMode::int4_asym, .group_size = 16, .all_layers = true, .scale_estimation = estimate, .gptq = true};
    compress_weights(net.graph, options, context, nullptr, &calibration);
    check_outputs(net, before);
    EXPECT_EQ(net.find("experts.weight")->constant().shape(), (Shape{3, kRows, 2, 16}));
    EXPECT_EQ(net.find("first.weight")->constant().shape(), (Shape{2, 16, kWidth}));
  }
}

TEST(GptqGraph, GivesTheBytesOfItsCodes) {
  // Each mode's stored codes decompress to what the next layers were calibrated with.
  Context context({.threads = 1, .log = {}});
  using Mode = CompressWeightsMode;
  for (Mode mode : {Mode::int4_sym, Mode::int4_asym, Mode::int3_sym, Mode::int2_sym, Mode::nf4, Mode::cb4}) {
    Net net;
    net.result(net.matmul(net.op("Tanh", {net.matmul(net.x->output(), "first", 1)}, "act"), "second", 2, {kRows, kRows}));
    auto before = net.outputs();
    test::Lockstep calibration(net.samples());
    compress_weights(net.graph, {.mode = mode, .group_size = 16, .all_layers = true, .gptq = true}, context, nullptr, &calibration);
    auto after = net.outputs();
    double difference = 0, norm = 0;
    for (size_t i = 0; i < before.size(); ++i)
      difference += std::pow(static_cast<double>(after[i]) - before[i], 2), norm += std::pow(static_cast<double>(before[i]), 2);
    EXPECT_LT(std::sqrt(difference / norm), mode == Mode::int2_sym ? 0.7 : mode == Mode::int3_sym ? 0.35 : 0.2) << to_string(mode);
  }
}

TEST(Refusals, LayersThatAMethodCannotTake) {
  Context context({.threads = 1, .log = {}});
  Net net;
  Node& columns = net.graph.add_parameter(ElementType::f32, {1, kWidth, kDynamic}, "columns");
  Node& weight = net.graph.add_constant(random_tensor({kRows, kWidth}, 1), "w");
  Node& layer = net.graph.add("MatMul", {columns.output(), weight.output()}, {{"transpose_a", "true"}, {"transpose_b", "true"}}, "layer");
  net.result(layer.output());
  for (bool gptq : {false, true}) {
    test::Lockstep calibration(std::vector<Tensor>{random_tensor({1, kWidth, 6}, 5)});
    WeightCompression options{.mode = CompressWeightsMode::int4_sym, .group_size = 16, .all_layers = true};
    (gptq ? options.gptq : options.lora_correction) = true;
    try {
      compress_weights(net.graph, options, context, nullptr, &calibration);
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::unsupported) << error.what();
    }
  }
}

TEST(BadWeights, AreNamedAndCounted) {
  Context context({.threads = 1, .log = {}});
  for (bool gptq : {false, true}) {
    Net net;
    net.result(net.matmul(net.x->output(), "layer", 1));
    Node* weight = net.find("layer.weight");
    Tensor values = weight->constant().tensor().clone();
    values.as_mutable<float>()[3] = std::numeric_limits<float>::infinity();
    values.as_mutable<float>()[700] = std::nanf("");
    weight->set_constant(values);
    test::Lockstep calibration(net.samples());
    try {
      WeightCompression options{.mode = CompressWeightsMode::int4_sym, .group_size = 16, .all_layers = true};
      if (gptq) options.gptq = true;
      compress_weights(net.graph, options, context, nullptr, gptq ? &calibration : nullptr);
      net.find("layer.weight")->constant().tensor();
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
      EXPECT_NE(std::string(error.what()).find("'layer.weight' has 2 values"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace nibble
