// Every instruction set of this machine gives the bytes of the plain code.
#include "compress/quantize_kernels.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "compress/quantize.hpp"
#include "tensor/float_types.hpp"

namespace nibble {
namespace {

/// Ordinary weights, with zeros, tiny, huge and non-finite ones among them.
std::vector<float> odd_weights(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> weights(count);
  constexpr float kOdd[] = {0.0f, -0.0f, 1e-30f, -1e-42f, 3e38f, -3e38f, std::numeric_limits<float>::infinity(), std::nanf("")};
  for (float& w : weights) w = random() % 97 == 0 ? kOdd[random() % std::size(kOdd)] : normal(random);
  return weights;
}

struct Result {
  std::vector<uint8_t> codes, zero_points;
  std::vector<float> scales;
  bool operator==(const Result& other) const {
    auto bits = [](float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); };
    return codes == other.codes && zero_points == other.zero_points &&
           std::equal(scales.begin(), scales.end(), other.scales.begin(), other.scales.end(), bits);
  }
};

Result quantize(const std::vector<float>& weights, CompressWeightsMode mode, size_t size, const QuantizeKernels& kernels) {
  QuantizeRule rule{.mode = mode, .group_size = size};
  if (weight_format(mode).family == QuantizerFamily::levels) rule.levels = &standard_levels(mode);
  Result result;
  result.codes.resize(weights.size());
  result.scales.resize(weights.size() / size);
  if (weight_format(mode).family == QuantizerFamily::asymmetric) result.zero_points.resize(weights.size() / size);
  quantize_groups(weights, rule, {result.codes, result.scales, result.zero_points}, kernels);
  return result;
}

class Kernels : public testing::TestWithParam<const QuantizeKernels*> {};

TEST_P(Kernels, QuantizeAsTheSpecification) {
  using Mode = CompressWeightsMode;
  for (Mode mode : {Mode::int8_asym, Mode::int8_sym, Mode::int4_asym, Mode::int4_sym, Mode::int3_sym, Mode::int2_sym, Mode::nf4,
                    Mode::mxfp4, Mode::mxfp8_e4m3, Mode::fp4, Mode::fp8_e4m3, Mode::cb4})
    for (size_t size : {1u, 7u, 16u, 32u, 50u, 128u, 300u}) {
      auto weights = odd_weights(size * 40, static_cast<unsigned>(size));
      EXPECT_EQ(quantize(weights, mode, size, *GetParam()), quantize(weights, mode, size, scalar_quantize_kernels()))
          << to_string(mode) << ", groups of " << size;
    }
}

TEST_P(Kernels, WidenEveryHalf) {
  std::vector<uint16_t> halves(65536 + 1);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  auto* packed = reinterpret_cast<const std::byte*>(halves.data());
  std::vector<float> f16(65533), bf16(65533);
  GetParam()->widen_f16(packed + 2, f16.size(), f16.data());
  GetParam()->widen_bf16(packed + 2, bf16.size(), bf16.data());
  for (size_t i = 0; i < f16.size(); ++i) {
    float expected = to_float(float16{halves[i + 1]}), expected_bf16 = to_float(bfloat16{halves[i + 1]});
    ASSERT_TRUE(f16[i] == expected || (std::isnan(f16[i]) && std::isnan(expected))) << i;
    ASSERT_EQ(std::bit_cast<uint32_t>(bf16[i]), std::bit_cast<uint32_t>(expected_bf16)) << i;
  }
}

TEST_P(Kernels, EncodeF8e4m3AsTheConversionDoes) {
  std::mt19937 random(5);
  std::vector<float> values;
  for (uint32_t half = 0; half < 65536; ++half) values.push_back(to_float(float16{static_cast<uint16_t>(half)}));
  for (int i = 0; i < 200000; ++i)
    values.push_back(std::ldexp(static_cast<float>(random()) / 0x1p31f, static_cast<int>(random() % 24) - 13));
  std::vector<uint8_t> codes(values.size());
  float one = 1;
  GetParam()->f8e4m3(values.data(), 1, values.size(), &one, codes.data());
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(codes[i], float_to_f8e4m3(values[i])) << values[i];
}

TEST_P(Kernels, EncodeF4e2m1AsTheConversionDoes) {
  std::vector<float> values;
  for (int i = -700; i <= 700; ++i) values.push_back(static_cast<float>(i) / 64);
  values.push_back(-0.0f);
  std::vector<uint8_t> codes(values.size());
  float one = 1;
  GetParam()->f4e2m1(values.data(), 1, values.size(), &one, codes.data());
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(codes[i], float_to_f4e2m1(values[i])) << values[i];
}

TEST_P(Kernels, MeasureTheSameError) {
  auto weights = odd_weights(1000, 3);
  for (float& w : weights)
    if (!(std::fabs(w) < 1)) w = 0.5f;
  std::vector<uint8_t> codes(weights.size());
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 37);
  EXPECT_EQ(GetParam()->asymmetric_error(weights.data(), codes.data(), codes.size(), 0.003f, 130),
            scalar_quantize_kernels().asymmetric_error(weights.data(), codes.data(), codes.size(), 0.003f, 130));
}

TEST_P(Kernels, PackNibbles) {
  std::vector<uint8_t> codes(202);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 11);
  std::vector<std::byte> packed(101);
  GetParam()->pack_nibbles(codes.data(), codes.size(), packed.data());
  for (size_t i = 0; i < packed.size(); ++i)
    ASSERT_EQ(std::to_integer<int>(packed[i]), (codes[2 * i] & 15) | (codes[2 * i + 1] & 15) << 4) << i;
}

INSTANTIATE_TEST_SUITE_P(Sets, Kernels, testing::ValuesIn(available_quantize_kernels().begin(), available_quantize_kernels().end()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace nibble
