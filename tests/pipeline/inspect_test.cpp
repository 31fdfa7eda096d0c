#include "nibble/inspect.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <stdexcept>

#include "expect_error.hpp"
#include "models.hpp"
#include "nibble/export.hpp"

namespace nibble {

using test::fails;
using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

namespace {

// Sizes of models/nib: 4 layers, hidden 256, feed-forward 512, 2 key and value heads of 32, vocabulary 2048, tied embeddings.
constexpr uint64_t kAttention = 4 * (256 * 256 + 2 * 64 * 256 + 256 * 256);
constexpr uint64_t kMlp = 4 * 3 * 256 * 512;
constexpr uint64_t kEmbedding = 2048 * 256;
constexpr uint64_t kNorms = 9 * 256;
constexpr uint64_t kParameters = kAttention + kMlp + kEmbedding + kNorms;
constexpr uint64_t kHalfPrecisionBytes = 2 * kParameters + 2 * kNorms;  // norms are stored in f32

const WeightKind& kind(const ModelInfo& info, const std::string& name) {
  auto found = std::find_if(info.weights.begin(), info.weights.end(), [&](const WeightKind& k) { return k.kind == name; });
  if (found == info.weights.end()) throw std::runtime_error("no weights of kind " + name);
  return *found;
}

class ExportedNib : public testing::Test {
 protected:
  ModelInfo inspect_exported(const ExportOptions& options) {
    Context context({.threads = 2, .log = {}});
    report_ = export_model(test::nib(), scratch_ / "model", options, context);
    return inspect_model(scratch_ / "model");
  }
  ExportReport report_;
  test::ScratchDirectory scratch_;
};

/// What a token has no need of: elements and bytes of experts that are not chosen.
std::pair<uint64_t, uint64_t> idle(const ModelInfo& info) {
  uint64_t elements = 0, bytes = 0;
  for (const WeightKind& weights : info.weights) {
    elements += weights.elements - weights.active_elements;
    bytes += weights.bytes - weights.active_bytes;
  }
  return {elements, bytes};
}

}  // namespace

TEST(Inspect, ATokenNeedsTheChosenExpertsAndAllElse) {
  const auto models = test::source_directory() / "tests/data/models";
  constexpr uint64_t kMixtral = 2 * 2 * 3 * 64 * 48;  // layers, experts of 4 that are not chosen, matrices
  EXPECT_EQ(idle(inspect_model(models / "mixtral")), std::pair(kMixtral, 2 * kMixtral));
  constexpr uint64_t kQwen = 1 * 4 * 3 * 64 * 32;  // the shared expert is for every token, and the first layer has none
  EXPECT_EQ(idle(inspect_model(models / "qwen2_moe")), std::pair(kQwen, 2 * kQwen));
  EXPECT_EQ(idle(inspect_model(test::nib())), std::pair(uint64_t{0}, uint64_t{0}));
}

TEST(Inspect, ExpertsThatAreLayersOfTheirOwnCountAsExpertsToo) {
  ModelInfo info = inspect_model(test::source_directory() / "tests/data/ir/mixtral-int8");
  constexpr uint64_t kCodes = 2 * 2 * 3 * 64 * 48;
  auto [elements, bytes] = idle(info);
  EXPECT_EQ(elements, kCodes);
  EXPECT_EQ(bytes, kCodes + 2 * 2 * (2 * 48 + 64) * (2 + 1));  // a half and a byte for every row
}

TEST(Inspect, Checkpoint) {
  ModelInfo info = inspect_model(test::nib());
  EXPECT_EQ(info.format, "Hugging Face checkpoint");
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.sizes.at("hidden_size"), 256);
  EXPECT_EQ(info.sizes.at("max_position_embeddings"), 1024);
  EXPECT_EQ(info.parameters, kParameters);
  EXPECT_EQ(info.parameters, 2'754'816u);
  EXPECT_EQ(info.weight_bytes, kHalfPrecisionBytes);
  EXPECT_NEAR(info.bits_per_weight, 16, 0.02);
  EXPECT_EQ(info.cache_elements_per_token, 4 * 2 * 2 * 32u);
}

TEST(Inspect, KindsOfWeights) {
  ModelInfo info = inspect_model(test::nib());
  EXPECT_EQ(kind(info, "attention").elements, kAttention);
  EXPECT_THAT(kind(info, "attention").precisions, ElementsAre(Pair("f16", 16)));
  EXPECT_EQ(kind(info, "mlp").elements, kMlp);
  EXPECT_THAT(kind(info, "mlp").precisions, ElementsAre(Pair("f16", 12)));
  EXPECT_EQ(kind(info, "embedding").elements, kEmbedding) << "also the last layer, counted once";
  EXPECT_EQ(kind(info, "other").elements, kNorms);
}

TEST(Inspect, InputsAndOutputs) {
  ModelInfo info = inspect_model(test::nib());
  std::vector<std::string> inputs;
  for (const auto& input : info.inputs) inputs.push_back(input.name + " " + input.type);
  EXPECT_THAT(inputs, UnorderedElementsAre("input_ids i64", "attention_mask i64", "position_ids i64", "beam_idx i32"));
  ASSERT_EQ(info.outputs.size(), 1u);
  EXPECT_EQ(info.outputs[0].name, "logits");
  EXPECT_EQ(info.outputs[0].type, "f32");
  EXPECT_THAT(info.outputs[0].shape, testing::HasSubstr("2048"));
}

TEST(Inspect, CountsOperations) {
  ModelInfo info = inspect_model(test::nib());
  EXPECT_EQ(info.operations.at("ReadValue"), 8u);
  EXPECT_EQ(info.operations.at("ScaledDotProductAttention"), 4u);
  uint64_t total = 0;
  for (const auto& [name, count] : info.operations) total += count;
  EXPECT_EQ(info.layers, total);
}

TEST_F(ExportedNib, HalfPrecisionIsWhatTheCheckpointHas) {
  ExportOptions options;
  options.weight_format = "fp16";
  ModelInfo info = inspect_exported(options), original = inspect_model(test::nib());
  EXPECT_EQ(info.format, "OpenVINO IR");
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.parameters, kParameters);
  EXPECT_EQ(info.weight_bytes, kHalfPrecisionBytes);
  EXPECT_EQ(report_.parameters, kParameters);
  EXPECT_EQ(info.cache_elements_per_token, original.cache_elements_per_token);
  EXPECT_LE(info.weight_bytes, report_.weight_bytes);
}

TEST_F(ExportedNib, FourBitWeightsWithScales) {
  ExportOptions options;
  options.weight_format = "int4";
  options.sym = true;
  options.group_size = 128;
  ModelInfo info = inspect_exported(options);
  EXPECT_EQ(info.parameters, kParameters) << "scales are no parameters";
  EXPECT_EQ(kind(info, "attention").bytes, kAttention / 2 + kAttention / 128 * 2) << "codes, and an f16 scale for each group";
  EXPECT_EQ(kind(info, "mlp").bytes, kMlp / 2 + kMlp / 128 * 2);
  EXPECT_THAT(kind(info, "mlp").precisions, ElementsAre(Pair("i4", 12)));
  EXPECT_DOUBLE_EQ(kind(info, "mlp").bits_per_weight(), 4 + 16.0 / 128);
  EXPECT_EQ(kind(info, "embedding").elements, kEmbedding);
  EXPECT_GE(kind(info, "embedding").bytes, kEmbedding + 2048 * 2) << "8 bits, and an f16 scale for each row";
  EXPECT_LE(info.weight_bytes, report_.weight_bytes);
}

TEST_F(ExportedNib, AsymmetricWeightsHaveZeroPoints) {
  ExportOptions options;
  options.weight_format = "int4";
  options.group_size = 64;
  ModelInfo info = inspect_exported(options);
  EXPECT_THAT(kind(info, "mlp").precisions, ElementsAre(Pair("u4", 12)));
  EXPECT_EQ(kind(info, "mlp").bytes, kMlp / 2 + kMlp / 64 * 2 + kMlp / 64 / 2) << "codes, scales, 4-bit zero points";
}

TEST_F(ExportedNib, TheXmlFileAloneWillDo) {
  inspect_exported({});
  EXPECT_EQ(inspect_model(scratch_ / "model/openvino_model.xml").parameters, kParameters);
}

TEST(Inspect, MissingModelsAreNamed) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"no-such-model"}, [] { inspect_model("no-such-model"); }));
}

TEST(PrintGraph, ShowsEveryLayerOnALine) {
  std::string text = print_graph(test::nib());
  EXPECT_EQ(static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')), inspect_model(test::nib()).layers);
  EXPECT_THAT(text, testing::HasSubstr("ScaledDotProductAttention"));
  EXPECT_THAT(text, testing::StartsWith("%0 = "));
}

}  // namespace nibble
