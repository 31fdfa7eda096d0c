#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "device/cpu/kernels/quantized_gemm.hpp"

namespace nibble::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Quantized {
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
};

class QuantizeRowsTest : public testing::TestWithParam<Isa> {
 protected:
  Quantized quantize(const std::vector<float>& x, size_t group) const {
    const size_t chunks = (x.size() + 31) / 32;
    Quantized q{std::vector<int8_t>(chunks * 32, 99), {}, {}};
    std::vector<ChunkTerms> terms(chunks, {99.0f, 99.0f});
    quantized_gemm(CodeType::u8, GetParam()).quantize(x.data(), x.size(), group, q.codes.data(), terms.data());
    for (const ChunkTerms& term : terms) q.scales.push_back(term.scale), q.sums.push_back(static_cast<int32_t>(term.sum));
    return q;
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, QuantizeRowsTest, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

std::vector<float> random_row(size_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(columns);
  for (float& v : x) v = normal(random) * std::pow(2.0f, static_cast<float>(seed % 41) - 20);
  return x;
}

float largest(const std::vector<float>& x, size_t begin, size_t end) {
  float result = 0;
  for (size_t k = begin; k < std::min(end, x.size()); ++k) result = std::max(result, std::abs(x[k]));
  return result;
}

TEST_P(QuantizeRowsTest, CodesScalesAndSumsAreThoseOfTheFormula) {
  uint32_t seed = 0;
  for (size_t columns : {1, 31, 32, 33, 64, 100, 160, 1000})
    for (size_t group : {32, 64, 96, 128, 1024}) {
      const std::vector<float> x = random_row(columns, ++seed);
      const Quantized q = quantize(x, group);
      for (size_t c = 0; c < q.scales.size(); ++c) {
        const size_t begin = c * 32 / group * group;
        const float max = largest(x, begin, begin + group), inverse = 127 / max;
        EXPECT_EQ(q.scales[c], max / 127) << columns << " columns, group " << group;
        int32_t sum = 0;
        for (size_t k = c * 32; k < c * 32 + 32; ++k) {
          const int code = k < columns ? static_cast<int>(std::nearbyint(x[k] * inverse)) : 0;
          ASSERT_EQ(q.codes[k], code) << columns << " columns, group " << group << ", column " << k;
          sum += code;
        }
        EXPECT_EQ(q.sums[c], sum);
      }
    }
}

TEST_P(QuantizeRowsTest, LargestValueGets127) {
  for (float max : {1.0f, 3.3333333f, 1e-30f, 0x1p-119f, 3.4028235e38f}) {
    std::vector<float> x(64, max / 3);
    x[5] = max, x[40] = -max;
    const Quantized q = quantize(x, 64);
    EXPECT_EQ(q.codes[5], 127) << max;
    EXPECT_EQ(q.codes[40], -127) << max;
    EXPECT_EQ(q.codes[6], 42) << max;
  }
}

TEST_P(QuantizeRowsTest, TiesGoToEven) {
  std::vector<float> x(32);
  x[0] = 127, x[1] = 0.5f, x[2] = 1.5f, x[3] = -2.5f, x[4] = -3.5f, x[5] = 126.5f;
  const Quantized q = quantize(x, 32);
  EXPECT_EQ((std::vector<int>(q.codes.begin(), q.codes.begin() + 6)), (std::vector<int>{127, 0, 2, -2, -4, 126}));
}

TEST_P(QuantizeRowsTest, ScaleOfAGroupIsRepeatedForItsChunks) {
  std::vector<float> x(160, 1.0f);
  x[70] = 254;
  EXPECT_EQ(quantize(x, 128).scales, (std::vector<float>{2, 2, 2, 2, 1 / 127.0f}));
}

TEST_P(QuantizeRowsTest, ZerosAreZero) {
  const Quantized q = quantize(std::vector<float>(40, -0.0f), 32);
  EXPECT_EQ(q.codes, std::vector<int8_t>(64, 0));
  EXPECT_EQ(q.scales, std::vector<float>(2, 0));
  EXPECT_EQ(q.sums, std::vector<int32_t>(2, 0));
}

TEST_P(QuantizeRowsTest, GroupBelowTheSmallestScaleIsZero) {
  for (float tiny : {1e-45f, 1e-40f, std::nextafter(0x1p-119f, 0.0f)}) {
    const Quantized q = quantize(std::vector<float>(32, tiny), 32);
    EXPECT_EQ(q.codes, std::vector<int8_t>(32, 0));
    EXPECT_EQ(q.scales[0], 0);
  }
}

TEST_P(QuantizeRowsTest, GroupWithoutNumbersGetsTheScaleNan) {
  for (float bad : {kInfinity, -kInfinity, kNan, -kNan})
    for (size_t at : {32, 50, 63, 95}) {
      std::vector<float> x(128, 1.0f);
      x[at] = bad;
      const Quantized q = quantize(x, 32);
      for (size_t c = 0; c < 4; ++c) EXPECT_EQ(std::isnan(q.scales[c]), c == at / 32) << bad;
      EXPECT_EQ(q.codes[at / 32 * 32], 0);
      EXPECT_EQ(q.sums[at / 32], 0);
      EXPECT_EQ(q.codes[0], 127);
    }
}

TEST_P(QuantizeRowsTest, CodeTimesScaleIsWithinHalfAStep) {
  const std::vector<float> x = random_row(256, 20);
  const Quantized q = quantize(x, 32);
  for (size_t k = 0; k < x.size(); ++k) EXPECT_NEAR(x[k], static_cast<float>(q.codes[k]) * q.scales[k / 32], q.scales[k / 32] * 0.5001f);
}

}  // namespace
}  // namespace nibble::cpu
