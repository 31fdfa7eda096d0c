#include "export/weight_choice.hpp"

#include <gmock/gmock.h>

#include "expect_error.hpp"
#include "export/default_quantization.hpp"

namespace nibble {

using test::fails;
using testing::HasSubstr;

namespace {

WeightOptions format(const std::string& name) {
  WeightOptions options;
  options.weight_format = name;
  return options;
}

WeightChoice choose(const WeightOptions& options, const std::vector<std::string>& ids = {}) { return choose_weights(options, ids); }

TEST(WeightChoice, Int4AloneIsTheDefaultOfTheModel) {
  WeightChoice choice = choose(format("int4"), {"Qwen/Qwen3-1.7B"});
  ASSERT_EQ(choice.passes.size(), 1u);
  const WeightCompression& pass = choice.passes[0];
  EXPECT_EQ(pass.mode, CompressWeightsMode::int4_sym);
  EXPECT_EQ(pass.group_size, 64);
  EXPECT_EQ(pass.awq, true);
  EXPECT_EQ(pass.scale_estimation, true);
  ASSERT_TRUE(choice.data);
  EXPECT_EQ(choice.data->dataset, "wikitext2");
  EXPECT_TRUE(choice.data->or_builtin);
  EXPECT_THAT(choice.notes.at(0), HasSubstr("Qwen/Qwen3-1.7B"));
}

TEST(WeightChoice, ModelsAreKnownByTheLastPartOfTheirPathToo) {
  EXPECT_EQ(find_default_quantization(std::vector<std::string>{"/data/models/phi-2/"})->model_id, "microsoft/phi-2");
  EXPECT_EQ(find_default_quantization(std::vector<std::string>{"./here", "bigcode/starcoder2-3b"})->model_id, "bigcode/starcoder2-3b");
  EXPECT_EQ(find_default_quantization(std::vector<std::string>{"microsoft/phi-2x", "", "/"}), nullptr);
}

TEST(WeightChoice, AWholeIdCountsBeforeALastPart) {
  std::vector<std::string> ids{"/tmp/phi-2", "Qwen/Qwen3-8B"};
  EXPECT_EQ(find_default_quantization(ids)->model_id, "Qwen/Qwen3-8B");
}

TEST(WeightChoice, OtherModelsGetAsymmetricGroupsOf128) {
  WeightChoice choice = choose(format("int4"), {"/tmp/mine"});
  EXPECT_EQ(choice.description, "int4_asym, group size 128");
  EXPECT_FALSE(choice.data);
  EXPECT_TRUE(choice.notes.empty());
}

TEST(WeightChoice, AnyOptionSwitchesTheDefaultOfTheModelOff) {
  WeightOptions options = format("int4");
  options.group_size = 32;
  EXPECT_EQ(choose(options, {"Qwen/Qwen3-1.7B"}).description, "int4_asym, group size 32");
  WeightOptions fallback = format("int4");
  fallback.group_size_fallback = "adjust";
  EXPECT_THAT(choose(fallback, {"Qwen/Qwen3-1.7B"}).description, HasSubstr("int4_sym")) << "this one does not, as in optimum-cli";
  EXPECT_EQ(choose(format("int8"), {"Qwen/Qwen3-1.7B"}).description, "int8_asym");
}

TEST(WeightChoice, ExpertsAndTheRestMayTakeDifferentPasses) {
  WeightChoice choice = choose(format("int4"), {"openai/gpt-oss-20b"});
  ASSERT_EQ(choice.passes.size(), 2u);
  EXPECT_EQ(choice.passes[0].ignored_scope.patterns, (std::vector<std::string>{".*self_attn.*", ".*router.*"}));
  EXPECT_EQ(choice.passes[1].mode, CompressWeightsMode::int8_asym);
}

TEST(WeightChoice, MethodsAndDataComeThrough) {
  WeightOptions options = format("int4");
  options.gptq = true;
  options.scale_estimation = true;
  options.dataset = "auto";
  options.num_samples = 7;
  options.seqlen = 99;
  WeightChoice choice = choose(options);
  EXPECT_EQ(choice.passes[0].gptq, true);
  EXPECT_EQ(choice.passes[0].subset_size, 7);
  EXPECT_EQ(choice.data->num_samples, 7u);
  EXPECT_EQ(choice.data->length, 99u);
  EXPECT_TRUE(choice.data->in_f32);
  EXPECT_FALSE(choice.data->or_builtin);
  EXPECT_EQ(choice.description, "int4_asym, group size 128, scale estimation, gptq");
}

TEST(WeightChoice, ARatioBelowOneLooksAtDataUnlessTheMetricDoesNot) {
  WeightOptions options = format("int4");
  options.dataset = "auto";
  options.ratio = 0.8;
  EXPECT_TRUE(choose(options).data);
  options.sensitivity_metric = "weight_quantization_error";
  EXPECT_FALSE(choose(options).data);
}

TEST(WeightChoice, DataThatNothingLooksAtIsNotUsed) {
  for (const char* name : {"int4", "int8"}) {
    WeightOptions options = format(name);
    options.dataset = "auto";
    WeightChoice choice = choose(options);
    EXPECT_FALSE(choice.data);
    EXPECT_THAT(choice.warnings.at(0), HasSubstr("not used"));
  }
}

struct Wrong {
  void (*change)(WeightOptions&);
  std::string part;
};

class WrongWeightOptions : public testing::TestWithParam<Wrong> {};

TEST_P(WrongWeightOptions, AreRefused) {
  WeightOptions options = format("int4");
  GetParam().change(options);
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {GetParam().part}, [&] { choose(options); }));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, WrongWeightOptions,
    testing::Values(Wrong{[](WeightOptions& o) { o.gptq = true; }, "gptq"},
                    Wrong{[](WeightOptions& o) { o.scale_estimation = true; }, "dataset"},
                    Wrong{[](WeightOptions& o) { o.lora_correction = true; }, "lora-correction"},
                    Wrong{[](WeightOptions& o) { o.num_samples = 5; }, "num-samples"},
                    Wrong{[](WeightOptions& o) { o.seqlen = 5; }, "dataset"},
                    Wrong{[](WeightOptions& o) { o.dataset = "auto", o.awq = true, o.num_samples = 0; }, "num-samples 0"},
                    Wrong{[](WeightOptions& o) { o.dataset = "auto", o.awq = true, o.seqlen = -1; }, "seqlen -1"},
                    Wrong{[](WeightOptions& o) { o.dataset = "auto", o.gptq = o.lora_correction = true; }, "lora"},
                    Wrong{[](WeightOptions& o) { o.weight_format = "int8", o.dataset = "auto", o.awq = true; }, "awq"},
                    Wrong{[](WeightOptions& o) { o.weight_format = "mxfp4", o.dataset = "auto", o.gptq = true; }, "mxfp4"},
                    Wrong{[](WeightOptions& o) { o.weight_format = "fp16", o.dataset = "auto"; }, "fp16"},
                    Wrong{[](WeightOptions& o) { o.weight_format.reset(), o.awq = true; }, "--weight-format"},
                    Wrong{[](WeightOptions& o) { o.sensitivity_metric = "guess"; }, "mean_activation_variance"}));

}  // namespace
}  // namespace nibble
