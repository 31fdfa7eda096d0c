#include "device/cpu/kernels/quantized_gemm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <string>

#include "cpu_kernels/quantized_matrices.hpp"
#include "nibble/error.hpp"

namespace nibble::cpu {
namespace {

using ::testing::EndsWith;

constexpr float kUntouched = 12345;
constexpr size_t kPerRow = 0;  // group size: all columns

std::vector<float> multiply(const QuantizedGemm& gemm, const PackedMatrix& w, const TestRows& x) {
  std::vector<float> out(x.count * w.rows, kUntouched);
  gemm.multiply(w, x.rows(w), {out.data(), w.rows}, {0, w.panels()}, {0, x.count});
  return out;
}

/// The same bits, so that zeros of different sign differ; of NaN there is only one.
testing::AssertionResult same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i]) && !(std::isnan(a[i]) && std::isnan(b[i])))
      return testing::AssertionFailure() << "value " << i << " of " << a.size() << ": " << a[i] << " and " << b[i];
  return a.size() == b.size() ? testing::AssertionSuccess() : testing::AssertionFailure() << "sizes";
}

std::vector<float> expected(const TestWeights& w, const TestRows& x) {
  std::vector<float> out;
  for (size_t m = 0; m < x.count; ++m)
    for (size_t n = 0; n < w.spec.rows; ++n) out.push_back(expected_product(w, x, n, m));
  return out;
}

std::string describe(const WeightSpec& s, size_t rows) {
  return (s.type == CodeType::u4 ? "u4 [" : "u8 [") + std::to_string(s.rows) + ", " + std::to_string(s.columns) + "] group " +
         std::to_string(s.group_size) + (s.zero_points ? " zero points" : "") + ", rows " + std::to_string(rows);
}

class QuantizedGemmTest : public testing::TestWithParam<Isa> {
 protected:
  const QuantizedGemm& gemm(CodeType type) const { return quantized_gemm(type, GetParam()); }
  void check(const TestWeights& w, const TestRows& x) const {
    SCOPED_TRACE(describe(w.spec, x.count));
    const Packed packed(w);
    EXPECT_TRUE(same_bits(multiply(gemm(w.spec.type), packed.matrix(), x), expected(w, x)));
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, QuantizedGemmTest, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

TEST_P(QuantizedGemmTest, KernelIsOfTheInstructionSetAskedFor) {
  const Isa isa = GetParam() == Isa::avx512bf16 ? Isa::avx512vnni : GetParam();
  for (CodeType type : {CodeType::u4, CodeType::u8}) EXPECT_THAT(std::string(gemm(type).name), EndsWith("_" + std::string(to_string(isa))));
}

TEST_P(QuantizedGemmTest, OddShapesOfEveryTypeAndGroup) {
  uint32_t seed = 0;
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (bool zero_points : {false, true})
      for (size_t group : {size_t{32}, size_t{64}, size_t{96}, size_t{128}, size_t{256}, kPerRow})
        for (size_t rows : {1, 15, 17, 33})
          for (size_t columns : {32, 33, 100, 160, 700}) {
            WeightSpec spec{
                type, rows, columns, group, ++seed % 2 ? ScaleType::f16 : ScaleType::f32, zero_points, type == CodeType::u4 ? 8 : 128};
            if (group == kPerRow || group > spec.padded()) spec.group_size = spec.padded();
            check(TestWeights(spec, seed), TestRows(1 + seed % 13, columns, seed));
          }
}

TEST_P(QuantizedGemmTest, AnyNumberOfRows) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (bool zero_points : {false, true}) {
      const TestWeights w({type, 33, 160, 64, ScaleType::f16, zero_points, 7});
      for (size_t rows = 1; rows <= 70; ++rows) check(w, TestRows(rows, 160, static_cast<uint32_t>(rows)));
    }
}

// Weights are taken in blocks of 512 columns; groups end within them, at their ends, or span several.
TEST_P(QuantizedGemmTest, GroupsAcrossBlocksOfColumns) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (size_t group : {32, 96, 128, 160, 512, 544, 640, 1024, 1184})
      for (size_t rows : {1, 11, 20}) check(TestWeights({type, 50, 1170, group, ScaleType::f16, true}), TestRows(rows, 1170));
}

TEST_P(QuantizedGemmTest, GroupLongerThanTheLongestBlock) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (bool zero_points : {false, true})
      for (size_t rows : {1, 10}) check(TestWeights({type, 3, 8300, 8320, ScaleType::f32, zero_points}), TestRows(rows, 8300));
}

TEST_P(QuantizedGemmTest, MoreRowsThanABlock) {
  for (CodeType type : {CodeType::u4, CodeType::u8}) check(TestWeights({type, 17, 64, 32, ScaleType::f16, true}), TestRows(205, 64));
}

TEST_P(QuantizedGemmTest, ExtremeCodesDoNotSaturate) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (bool max_weights : {false, true})
      for (int activation : {-127, 127})
        for (int zero_point : {0, 1, type == CodeType::u4 ? 15 : 255})
          for (size_t rows : {1, 3, 40}) {
            TestWeights w({type, 32, 96, 32, ScaleType::f16, true});
            std::fill(w.codes.begin(), w.codes.end(), static_cast<uint8_t>(max_weights ? w.spec.max_code() : 0));
            std::fill(w.zero_points.begin(), w.zero_points.end(), static_cast<uint8_t>(zero_point));
            TestRows x(rows, 96);
            std::fill(x.codes.begin(), x.codes.end(), static_cast<int8_t>(activation));
            x.add_up();
            check(w, x);
          }
}

TEST_P(QuantizedGemmTest, ExtremeCodesOfAlternatingSign) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (size_t period : {1, 2, 4, 8, 16})
      for (size_t rows : {1, 9}) {
        TestWeights w({type, 16, 128, 128, ScaleType::f32, false, type == CodeType::u4 ? 8 : 128});
        for (size_t i = 0; i < w.codes.size(); ++i) w.codes[i] = static_cast<uint8_t>(i / period % 2 ? w.spec.max_code() : 0);
        TestRows x(rows, 128);
        for (size_t i = 0; i < x.codes.size(); ++i) x.codes[i] = i / period % 2 ? int8_t{127} : int8_t{-127};
        x.add_up();
        check(w, x);
      }
}

TEST_P(QuantizedGemmTest, ZeroPointOfEveryWeight) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (int zero_point : {0, 3, 15, 128, 255})
      for (size_t rows : {2, 12}) check(TestWeights({type, 16, 64, 64, ScaleType::f16, false, zero_point}), TestRows(rows, 64));
}

/// What weights of all one code above their zero point give is far below what codes and zero points add up to before they cancel.
TEST_P(QuantizedGemmTest, ZeroPointsCancelToTheLastBits) {
  for (bool zero_points : {false, true}) {
    TestWeights w({CodeType::u8, 16, 4096, 4096, ScaleType::none, zero_points, 200});
    std::fill(w.codes.begin(), w.codes.end(), uint8_t{201});
    std::fill(w.zero_points.begin(), w.zero_points.end(), uint8_t{200});
    TestRows x(1, 4096);
    for (auto& code : x.codes) code = static_cast<int8_t>(std::abs(static_cast<int>(code)));
    x.add_up();
    double exact = 0;
    for (size_t c = 0; c < x.chunks; ++c) exact += double(x.sums[c]) * double(x.scales[c]);
    const Packed packed(w);
    for (float y : multiply(gemm(CodeType::u8), packed.matrix(), x)) EXPECT_NEAR(double(y) / exact, 1, 2e-4);
  }
}

TEST_P(QuantizedGemmTest, NoScalesMeanOne) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (size_t rows : {1, 10}) check(TestWeights({type, 18, 96, 96, ScaleType::none, false, 5}), TestRows(rows, 96));
}

TEST_P(QuantizedGemmTest, ScalesAtTheEndsOfTheRange) {
  for (size_t rows : {1, 10}) {
    TestWeights w({CodeType::u4, 16, 128, 32, ScaleType::f32, true});
    TestRows x(rows, 128);
    const float scales[] = {3e38f, 1e-38f, 1e-45f, 1e30f, -3e38f, 0.0f};
    for (size_t i = 0; i < w.scales.size(); ++i) w.scales[i] = scales[i / 4 % 6];  // one kind a row
    for (size_t i = 0; i < x.scales.size(); ++i) x.scales[i] = i % 2 ? 1e-40f : 1e-3f;
    check(w, x);
  }
}

// Subnormal float16 values are exact.
TEST_P(QuantizedGemmTest, SubnormalHalfScales) {
  const TestWeights w({CodeType::u4, 16, 32, 32, ScaleType::f16});
  TestWeights reference = w;
  reference.spec.scale_type = ScaleType::f32;
  std::vector<uint16_t> halves(16);
  for (size_t n = 0; n < 16; ++n) {
    halves[n] = static_cast<uint16_t>(n % 2 ? 1 << (n / 2) : 0x8000 | n);
    reference.scales[n] = (n % 2 ? 1.0f : -1.0f) * static_cast<float>(n % 2 ? 1 << (n / 2) : n) * 0x1p-24f;
  }
  const Packed packed(w);
  PackedMatrix matrix = packed.matrix();
  matrix.scales = reinterpret_cast<const std::byte*>(halves.data());
  const TestRows x(3, 32);
  EXPECT_TRUE(same_bits(multiply(gemm(CodeType::u4), matrix, x), expected(reference, x)));
}

TEST_P(QuantizedGemmTest, RowWithoutNumbersSpoilsItselfOnly) {
  for (size_t rows : {3, 30}) {
    const TestWeights w({CodeType::u4, 16, 64, 64, ScaleType::f16});
    TestRows x(rows, 64);
    const std::vector<float> clean = expected(w, x);
    x.scales[1 * x.chunks + 1] = std::numeric_limits<float>::quiet_NaN();
    std::fill_n(x.codes.begin() + static_cast<std::ptrdiff_t>(x.stride + 32), 32, int8_t{0});
    x.add_up();
    const Packed packed(w);
    std::vector<float> out = multiply(gemm(CodeType::u4), packed.matrix(), x);
    for (size_t n = 0; n < 16; ++n) {
      EXPECT_TRUE(std::isnan(out[16 + n]));
      out[16 + n] = clean[16 + n];
    }
    EXPECT_TRUE(same_bits(out, clean));
  }
}

TEST_P(QuantizedGemmTest, SlicesGiveTheSameBits) {
  for (CodeType type : {CodeType::u4, CodeType::u8}) {
    const Packed packed(TestWeights({type, 107, 192, 64, ScaleType::f16, true}));
    const PackedMatrix w = packed.matrix();
    const TestRows x(21, 192);
    const std::vector<float> whole = multiply(gemm(type), w, x);
    for (size_t panel_step : {1, 2, 4, 5})
      for (size_t row_step : {1, 2, 5, 13}) {
        std::vector<float> out(whole.size(), kUntouched);
        for (size_t p = 0; p < w.panels(); p += panel_step)
          for (size_t m = 0; m < 21; m += row_step)
            gemm(type).multiply(w, x.rows(w), {out.data(), w.rows}, {p, std::min(p + panel_step, w.panels())},
                                {m, std::min<size_t>(m + row_step, 21)});
        EXPECT_TRUE(same_bits(out, whole)) << panel_step << " panels, " << row_step << " rows";
      }
  }
}

TEST_P(QuantizedGemmTest, WritesItsRowsAndColumnsOnly) {
  for (size_t rows : {1, 7, 19}) {
    const TestWeights w({CodeType::u4, 37, 64, 64, ScaleType::f16});
    const Packed packed(w);
    const TestRows x(rows + 2, 64);
    const size_t stride = 41;
    std::vector<float> out((rows + 2) * stride, kUntouched);
    gemm(CodeType::u4).multiply(packed.matrix(), x.rows(packed.matrix()), {out.data(), stride}, {1, 3}, {1, rows + 1});
    for (size_t m = 0; m < rows + 2; ++m)
      for (size_t n = 0; n < stride; ++n) {
        const bool inside = m >= 1 && m <= rows && n >= 16 && n < 37;
        EXPECT_EQ(out[m * stride + n], inside ? expected_product(w, x, n, m) : kUntouched) << m << ", " << n;
      }
  }
}

TEST_P(QuantizedGemmTest, EmptyRangesDoNothing) {
  const Packed packed(TestWeights(WeightSpec{}));
  const TestRows x(2, 32);
  std::vector<float> out(32, kUntouched);
  gemm(CodeType::u4).multiply(packed.matrix(), x.rows(packed.matrix()), {out.data(), 16}, {0, 1}, {1, 1});
  gemm(CodeType::u4).multiply(packed.matrix(), x.rows(packed.matrix()), {out.data(), 16}, {1, 1}, {0, 2});
  EXPECT_EQ(out, std::vector<float>(32, kUntouched));
}

TEST_P(QuantizedGemmTest, BiasIsAddedBeforeWhatWasThere) {
  for (CodeType type : {CodeType::u4, CodeType::u8})
    for (size_t rows : {2, 11}) {
      const TestWeights w({type, 27, 64, 32, ScaleType::f16, true});
      const Packed packed(w);
      const TestRows x(rows, 64);
      std::vector<float> bias(27), there(rows * 27), sum(rows * 27);
      for (size_t n = 0; n < 27; ++n) bias[n] = 0.37f * static_cast<float>(n) - 3;
      for (size_t i = 0; i < there.size(); ++i) there[i] = 0.11f * static_cast<float>(i) + 1e-4f;
      const std::vector<float> product = expected(w, x);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] = (product[i] + bias[i % 27]) + there[i];
      gemm(type).multiply(packed.matrix(), x.rows(packed.matrix()), {there.data(), 27, bias.data(), true}, {0, 2}, {0, rows});
      EXPECT_TRUE(same_bits(there, sum));
    }
}

TEST(QuantizedGemm, IntegersOnly) {
  for (CodeType type : {CodeType::level4, CodeType::f8e4m3, CodeType::f16, CodeType::bf16, CodeType::f32})
    EXPECT_THROW(quantized_gemm(type, Isa::scalar), Error);
}

}  // namespace
}  // namespace nibble::cpu
