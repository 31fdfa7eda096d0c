#include "compress/compression_options.hpp"

#include <gtest/gtest.h>

#include "nibble/error.hpp"

namespace nibble {
namespace {

using Mode = CompressWeightsMode;

bool refused(const WeightCompression& options) {
  try {
    plan_compression(options);
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

}  // namespace
}  // namespace nibble
