// Every instruction set of this machine gives the bytes of the plain code.
#include "compress/tile_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "compress/quantize.hpp"
#include "compress/tile_estimator.hpp"

namespace nibble {
namespace {

using Mode = CompressWeightsMode;
constexpr size_t kColumns = 37, kSamples = 11;

std::vector<float> random_floats(size_t count, unsigned seed, float width = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, width);
  std::vector<float> values(count);
  for (float& value : values) value = random() % 31 == 0 ? 0.0f : normal(random);
  return values;
}

QuantizeRule rule_of(Mode mode) {
  QuantizeRule rule{.mode = mode, .group_size = kColumns};
  if (weight_format(mode).family == QuantizerFamily::levels) rule.levels = &standard_levels(mode);
  return rule;
}

const std::vector<Mode> kModes{Mode::int4_asym, Mode::int4_sym, Mode::int3_sym, Mode::int2_sym, Mode::nf4, Mode::cb4};

class TileKernelSets : public testing::TestWithParam<const TileKernels*> {
 protected:
  const TileKernels& set_ = *GetParam();
  const TileKernels& plain_ = scalar_tile_kernels();
  std::vector<float> tile_ = random_floats(kColumns * kTileRows, 1, 0.1f);
};

TEST_P(TileKernelSets, QuantizeAsTheSpecification) {
  for (Mode mode : kModes) {
    TileRule rule = tile_rule(rule_of(mode));
    std::vector<float> scales(kTileRows), zero_points(kTileRows), targets(tile_.size()), out(tile_.size());
    auto same_scales = scales, same_zero_points = zero_points, same_targets = targets, same_out = out;
    auto divisors = random_floats(kColumns, 2);
    for (float& d : divisors) d = std::fabs(d) + 0.1f;
    set_.fit(tile_.data(), kColumns, rule, scales.data(), zero_points.data());
    plain_.fit(tile_.data(), kColumns, rule, same_scales.data(), same_zero_points.data());
    set_.encode(tile_.data(), kColumns, rule, scales.data(), zero_points.data(), targets.data());
    plain_.encode(tile_.data(), kColumns, rule, scales.data(), zero_points.data(), same_targets.data());
    set_.residual(tile_.data(), targets.data(), kColumns, scales.data(), divisors.data(), out.data());
    plain_.residual(tile_.data(), targets.data(), kColumns, scales.data(), divisors.data(), same_out.data());
    EXPECT_EQ(scales, same_scales) << to_string(mode);
    EXPECT_EQ(zero_points, same_zero_points) << to_string(mode);
    EXPECT_EQ(targets, same_targets) << to_string(mode);
    EXPECT_EQ(out, same_out) << to_string(mode);
  }
}

TEST_P(TileKernelSets, AddAndMultiplyAsTheSpecification) {
  auto weights = random_floats(kColumns, 3), x = random_floats(kColumns * kSamples, 4), targets = random_floats(tile_.size(), 5);
  std::vector<float> out(tile_.size()), same(tile_.size()), sums(kTileRows), same_sums(kTileRows);
  std::vector<float> product = random_floats(kSamples * kTileRows, 6), same_product = product;
  auto compare = [&](const char* what) { EXPECT_EQ(out, same) << what; };
  set_.scale_columns(tile_.data(), kColumns, weights.data(), out.data());
  plain_.scale_columns(tile_.data(), kColumns, weights.data(), same.data());
  compare("scale_columns");
  set_.importance(targets.data(), kColumns, weights.data(), out.data());
  plain_.importance(targets.data(), kColumns, weights.data(), same.data());
  compare("importance");
  set_.scale_terms(tile_.data(), targets.data(), out.data(), kColumns, out.data());
  plain_.scale_terms(tile_.data(), targets.data(), same.data(), kColumns, same.data());
  compare("scale_terms");
  set_.square(tile_.data(), kColumns, out.data());
  plain_.square(tile_.data(), kColumns, same.data());
  compare("square");
  set_.lane_sum(tile_.data(), kColumns, sums.data());
  plain_.lane_sum(tile_.data(), kColumns, same_sums.data());
  EXPECT_EQ(sums, same_sums);
  for (bool add : {true, false}) {
    set_.product(tile_.data(), kColumns, x.data(), kSamples, kSamples, add, product.data());
    plain_.product(tile_.data(), kColumns, x.data(), kSamples, kSamples, add, same_product.data());
    EXPECT_EQ(product, same_product) << "add " << add;
  }
}

TEST_P(TileKernelSets, RunGptqAsTheSpecification) {
  constexpr size_t kGroup = 10, kGroups = 5, kFirst = 7;
  auto inverse = random_floats(kColumns * kColumns, 7, 0.1f);
  for (size_t i = 0; i < kColumns; ++i) inverse[i * kColumns + i] = 1.5f;
  for (Mode mode : kModes) {
    std::vector<float> tile = tile_, same = tile_, errors(tile.size()), same_errors(tile.size()), scales, zero_points;
    for (size_t i = 0; i < kGroups * kTileRows; ++i)
      scales.push_back(0.02f + 0.001f * static_cast<float>(i)), zero_points.push_back(static_cast<float>(i % 4));
    TileRule rule = tile_rule(rule_of(mode));
    set_.gptq(tile.data(), kColumns, rule, inverse.data(), kColumns, scales.data(), zero_points.data(), kTileRows, kFirst, kGroup,
              errors.data());
    plain_.gptq(same.data(), kColumns, rule, inverse.data(), kColumns, scales.data(), zero_points.data(), kTileRows, kFirst, kGroup,
                same_errors.data());
    EXPECT_EQ(tile, same) << to_string(mode);
    EXPECT_EQ(errors, same_errors) << to_string(mode);
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, TileKernelSets,
                         testing::ValuesIn(available_tile_kernels().begin(), available_tile_kernels().end()),
                         [](const auto& test) { return std::string(test.param->isa); });

/// Rows of a tile quantize as the same rows do group by group.
TEST(TileKernels, AgreeWithTheGroupQuantizers) {
  auto tile = random_floats(kColumns * kTileRows, 8, 0.1f);
  for (Mode mode : kModes) {
    QuantizeRule rule = rule_of(mode);
    float scales[kTileRows], zero_points[kTileRows];
    tile_kernels().fit(tile.data(), kColumns, tile_rule(rule), scales, zero_points);
    for (size_t row = 0; row < kTileRows; ++row) {
      std::vector<float> weights;
      for (size_t c = 0; c < kColumns; ++c) weights.push_back(tile[c * kTileRows + row]);
      std::vector<uint8_t> codes(kColumns), given(kColumns);
      float scale = 0;
      uint8_t zero_point = 0;
      quantize_groups(weights, rule, {codes, {&scale, 1}, {&zero_point, 1}});
      EXPECT_EQ(scale, scales[row]) << to_string(mode);
      EXPECT_EQ(zero_point, zero_points[row]) << to_string(mode);
      encode_groups(weights, rule, {&scale, 1}, {&zero_point, 1}, given);
      EXPECT_EQ(given, codes) << to_string(mode);
    }
  }
}

TEST(TileKernels, SumInNumpysOrder) {
  // numpy.float32 arithmetic: numpy.sum(1 / numpy.arange(1, n + 1, dtype="f4")), bit for bit.
  for (auto [count, expected] : {std::pair<size_t, float>{5, 2.28333354f}, {100, 5.18737841f}, {300, 6.28266478f}, {1000, 7.48547173f}}) {
    std::vector<float> values(count * kTileRows);
    for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0f / static_cast<float>(i / kTileRows + 1);
    float sums[kTileRows];
    row_sums(tile_kernels(), values.data(), count, sums);
    for (float sum : sums) EXPECT_EQ(sum, expected) << count;
  }
}

}  // namespace
}  // namespace nibble
