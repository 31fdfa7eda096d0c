#include "compress/compression_options.hpp"

#include <gtest/gtest.h>

#include "nibble/error.hpp"

namespace nibble {
namespace {

using Mode = CompressWeightsMode;

bool refused(const WeightCompression& options, bool has_data = false) {
  try {
    plan_compression(options, has_data);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid_argument) << error.what();
    return true;
  }
  return false;
}

TEST(CompressionOptions, DefaultsDependOnTheMode) {
  EXPECT_EQ(plan_compression({.mode = Mode::int8_asym}).group_size, -1);
  EXPECT_EQ(plan_compression({.mode = Mode::int4_sym}).group_size, 128);
  EXPECT_EQ(plan_compression({.mode = Mode::mxfp4}).group_size, 32);
  EXPECT_EQ(plan_compression({.mode = Mode::nvfp4}).group_size, 16);
  EXPECT_EQ(plan_compression({.mode = Mode::cb4}).group_size, -1);
  EXPECT_EQ(plan_compression({.mode = Mode::int4_sym}).backup, BackupMode::int8_asym);
  EXPECT_EQ(plan_compression({.mode = Mode::mxfp4}).backup, BackupMode::mxfp8_e4m3);
  EXPECT_EQ(plan_compression({.mode = Mode::fp4}).backup, BackupMode::fp8_e4m3);
}

TEST(CompressionOptions, RatioZeroMeansOne) { EXPECT_EQ(plan_compression({.mode = Mode::int4_sym, .ratio = 0.0}).ratio, 1.0); }

TEST(CompressionOptions, Int8TakesNoFurtherOptions) {
  EXPECT_TRUE(refused({.mode = Mode::int8_asym, .ratio = 0.5}));
  EXPECT_TRUE(refused({.mode = Mode::int8_asym, .group_size = 64}));
  EXPECT_TRUE(refused({.mode = Mode::int8_sym, .all_layers = false}));
  EXPECT_TRUE(refused({.mode = Mode::int8_sym, .backup = BackupMode::none}));
  EXPECT_FALSE(refused({.mode = Mode::int8_sym, .group_size = -1, .ratio = 1.0}));
}

TEST(CompressionOptions, RefusesWhatCannotBeMeant) {
  EXPECT_TRUE(refused({.mode = Mode::int4_sym, .ratio = 1.5}));
  EXPECT_TRUE(refused({.mode = Mode::int4_sym, .group_size = 0}));
  EXPECT_TRUE(refused({.mode = Mode::mxfp4, .group_size = 64}));
  EXPECT_TRUE(refused({.mode = Mode::nvfp4, .group_size_fallback = GroupSizeFallbackMode::adjust}));
  EXPECT_TRUE(refused({.mode = Mode::int4_sym, .ratio = 0.5, .sensitivity_metric = SensitivityMetric::max_activation_variance}));
  EXPECT_TRUE(refused({.mode = Mode::codebook}));
}

TEST(CompressionOptions, MethodsNeedTheirData) {
  constexpr bool kData = true;
  EXPECT_FALSE(refused({.mode = Mode::int4_sym, .awq = true}));
  EXPECT_TRUE(refused({.mode = Mode::int4_sym, .scale_estimation = true}));
  EXPECT_TRUE(refused({.mode = Mode::int4_sym, .gptq = true}));
  EXPECT_TRUE(refused({.mode = Mode::int4_sym, .lora_correction = true}));
  EXPECT_TRUE(refused({.mode = Mode::adaptive_codebook}));
  EXPECT_FALSE(refused({.mode = Mode::adaptive_codebook}, kData));
  EXPECT_FALSE(refused({.mode = Mode::int4_sym, .scale_estimation = true, .gptq = true}, kData));
  EXPECT_FALSE(refused({.mode = Mode::int4_sym, .ratio = 0.5, .sensitivity_metric = SensitivityMetric::max_activation_variance}, kData));
  EXPECT_EQ(plan_compression({.mode = Mode::int4_sym}, kData).sensitivity_metric, SensitivityMetric::max_activation_variance);
}

TEST(CompressionOptions, MethodsThatDoNotGoTogetherAreRefused) {
  constexpr bool kData = true;
  EXPECT_TRUE(refused({.mode = Mode::int4_sym, .gptq = true, .lora_correction = true}, kData));
  EXPECT_TRUE(refused({.mode = Mode::cb4, .lora_correction = true}, kData));
  for (Mode mode : {Mode::mxfp4, Mode::mxfp8_e4m3, Mode::fp4, Mode::fp8_e4m3, Mode::nvfp4})
    EXPECT_TRUE(refused({.mode = mode, .awq = true}));
  EXPECT_TRUE(refused({.mode = Mode::int8_asym}, kData));
  EXPECT_TRUE(refused({.mode = Mode::int8_sym, .awq = false}));
  EXPECT_TRUE(refused({.mode = Mode::int8_sym, .gptq = true}, kData));
}

TEST(CompressionOptions, ParametersMustMakeSense) {
  auto with = [](auto change) {
    WeightCompression options{.mode = Mode::int4_sym, .awq = true};
    change(options);
    return options;
  };
  EXPECT_TRUE(refused(with([](auto& o) { o.subset_size = 0; })));
  EXPECT_TRUE(refused(with([](auto& o) { o.advanced.awq_params.subset_size = -1; })));
  EXPECT_TRUE(refused(with([](auto& o) { o.advanced.awq_params.steps = 0; })));
  EXPECT_TRUE(refused(with([](auto& o) { o.advanced.awq_params.percent_to_apply = 2; })));
  EXPECT_TRUE(refused(with([](auto& o) { o.advanced.gptq_params.block_size = 0; })));
  EXPECT_TRUE(refused(with([](auto& o) { o.advanced.gptq_params.damp_percent = -1; })));
  EXPECT_TRUE(refused(with([](auto& o) { o.advanced.lora_correction_params.adapter_rank = 0; })));
  EXPECT_TRUE(refused(with([](auto& o) { o.advanced.adaptive_codebook_params.num_elements = 17; })));
  EXPECT_FALSE(refused(with([](auto&) {})));
}

}  // namespace
}  // namespace nibble
