#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "cpu_kernels/float_gemm_matrix.hpp"
#include "device/cpu/kernels/float_gemm.hpp"

namespace nibble::cpu {
namespace {

using Random = std::mt19937;

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float flush(float value) { return std::fabs(value) < std::numeric_limits<float>::min() ? std::copysign(0.0f, value) : value; }

float value_of(uint32_t bf16) { return flush(float_of_bits(bf16 << 16)); }

/// A bf16 number of a size that keeps sums finite; with `tiny`, of a size whose products are near the smallest floats.
uint32_t random_bf16(Random& random, bool tiny) {
  uint32_t exponent = tiny ? random() % 130 : 110 + random() % 30;
  return static_cast<uint32_t>(random() % 2) << 15 | exponent << 7 | static_cast<uint32_t>(random() % 128);
}

CodeMatrix random_matrix(size_t rows, size_t columns, Random& random, bool tiny = false) {
  CodeMatrix w{.type = CodeType::bf16, .rows = rows, .columns = columns};
  for (size_t i = 0; i < rows * columns; ++i) w.codes.push_back(random_bf16(random, tiny));
  return w;
}

struct Activations {
  size_t rows, columns, stride;
  std::vector<uint16_t> values;

  Activations(size_t row_count, size_t column_count, Random& random, bool tiny = false)
      : rows(row_count), columns(column_count), stride((columns + 31) / 32 * 32 + 64), values(rows * stride) {
    for (size_t m = 0; m < rows; ++m)
      for (size_t k = 0; k < columns; ++k) values[m * stride + k] = static_cast<uint16_t>(random_bf16(random, tiny));
  }
};

float expected(const CodeMatrix& w, const Activations& x, size_t m, size_t row) {
  float y = 0;
  auto add = [&](size_t k) {
    float weight = k < w.columns ? value_of(w.codes[row * w.columns + k]) : 0;
    y = flush(std::fma(value_of(x.values[m * x.stride + k]), weight, y));
  };
  for (size_t k = 0; k < w.padded(); k += 2) {
    add(k + 1);
    add(k);
  }
  return y;
}

constexpr float kUntouched = -12345;

std::vector<float> multiply(const Bf16Gemm& gemm, const CodeMatrix& w, const Activations& x, Range panels, Range rows) {
  Packed packed(w);
  std::vector<float> out(x.rows * (w.rows + 1), kUntouched);
  gemm.multiply(packed.view(), x.values.data(), x.stride, {.data = out.data(), .stride = w.rows + 1}, panels, rows);
  return out;
}

std::vector<float> multiply(const Bf16Gemm& gemm, const CodeMatrix& w, const Activations& x) {
  return multiply(gemm, w, x, {0, (w.rows + 15) / 16}, {0, x.rows});
}

void expect_products(const std::vector<float>& out, const CodeMatrix& w, const Activations& x) {
  for (size_t m = 0; m < x.rows; ++m) {
    for (size_t row = 0; row < w.rows; ++row)
      ASSERT_PRED2(same_number, out[m * (w.rows + 1) + row], expected(w, x, m, row)) << "row " << m << " of x, row " << row << " of w";
    ASSERT_EQ(out[m * (w.rows + 1) + w.rows], kUntouched);
  }
}

class Bf16GemmTest : public testing::TestWithParam<Isa> {
 protected:
  const Bf16Gemm& gemm() const { return bf16_gemm(GetParam()); }
  Random random_{11};
};

TEST_P(Bf16GemmTest, IsTheDefinedSumForEveryShape) {
  for (size_t rows : {1, 15, 17, 33, 150})
    for (size_t columns : {32, 33, 100, 160})
      for (size_t count : {1, 2, 3, 12, 13, 40}) {
        CodeMatrix w = random_matrix(rows, columns, random_);
        Activations x(count, columns, random_);
        SCOPED_TRACE(testing::Message() << rows << " x " << columns << ", " << count << " rows of x");
        ASSERT_NO_FATAL_FAILURE(expect_products(multiply(gemm(), w, x), w, x));
      }
}

TEST_P(Bf16GemmTest, IsTheDefinedSumForManyRows) {
  CodeMatrix w = random_matrix(50, 200, random_);
  Activations x(203, 200, random_);
  expect_products(multiply(gemm(), w, x), w, x);
}

TEST_P(Bf16GemmTest, DenormalsAreZeros) {
  for (size_t count : {1, 20}) {
    CodeMatrix w = random_matrix(32, 64, random_, true);
    Activations x(count, 64, random_, true);
    expect_products(multiply(gemm(), w, x), w, x);
    x.values.assign(x.values.size(), 0x007f);  // the largest denormal
    w.codes.assign(w.codes.size(), 0x7f00);
    for (float y : multiply(gemm(), w, x)) EXPECT_TRUE(y == 0 || y == kUntouched) << y;
  }
}

TEST_P(Bf16GemmTest, AResultDoesNotDependOnTheNumberOfRowsOrPanels) {
  CodeMatrix w = random_matrix(16 * 11 - 5, 96, random_);
  Activations x(40, 96, random_);
  std::vector<float> all = multiply(gemm(), w, x);
  for (size_t count = 1; count < 40; ++count) {
    Range panels{count % 5, 6 + count % 6};
    std::vector<float> some = multiply(gemm(), w, x, panels, {40 - count, 40});
    for (size_t i = 0; i < some.size(); ++i) {
      size_t m = i / (w.rows + 1), row = i % (w.rows + 1);
      bool inside = m >= 40 - count && row < w.rows && row / 16 >= panels.begin && row / 16 < panels.end;
      ASSERT_PRED2(same_number, some[i], inside ? all[i] : kUntouched) << count << " rows, " << i;
    }
  }
}

TEST_P(Bf16GemmTest, AddsBiasThenWhatWasThere) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (size_t count : {1, 5}) {
    CodeMatrix w = random_matrix(23, 64, random_);
    Packed packed(w);
    Activations x(count, 64, random_);
    std::vector<float> residual(count * 23), bias(23);
    for (float& value : residual) value = uniform(random_);
    for (float& value : bias) value = uniform(random_);
    std::vector<float> out = residual;
    gemm().multiply(packed.view(), x.values.data(), x.stride, {.data = out.data(), .stride = 23, .bias = bias.data(), .accumulate = true},
                    {0, 2}, {0, count});
    for (size_t i = 0; i < out.size(); ++i) EXPECT_PRED2(same_number, out[i], expected(w, x, i / 23, i % 23) + bias[i % 23] + residual[i]);
  }
}

TEST_P(Bf16GemmTest, NotANumberAndInfinityStayInTheirRow) {
  for (size_t count : {4, 15}) {
    CodeMatrix w = random_matrix(20, 96, random_);
    Activations x(count, 96, random_);
    x.values[x.stride + 50] = 0x7fc0;
    x.values[2 * x.stride + 51] = 0x7f80;
    std::vector<float> out = multiply(gemm(), w, x);
    for (size_t row = 0; row < 20; ++row) {
      EXPECT_TRUE(std::isnan(out[21 + row]));
      EXPECT_TRUE(std::isinf(out[2 * 21 + row]));
      EXPECT_TRUE(std::isfinite(out[row]) && std::isfinite(out[3 * 21 + row]));
    }
  }
}

TEST_P(Bf16GemmTest, RoundsToNearestEvenAndPadsWithZeros) {
  struct {
    uint32_t from;
    uint16_t to;
  } const cases[] = {{0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82},
                     {0xbf818000, 0xbf82}, {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x00000000, 0x0000},
                     {0x80000000, 0x8000}, {0x007fffff, 0x0000}, {0x80000001, 0x8000}, {0x00800000, 0x0080}};
  constexpr size_t kCount = std::size(cases);
  std::vector<float> x;
  for (auto& c : cases) x.push_back(float_of_bits(c.from));
  std::vector<uint16_t> out(33, 0xdead);
  gemm().round(x.data(), kCount, out.data());
  for (size_t i = 0; i < kCount; ++i) EXPECT_EQ(out[i], cases[i].to) << i;
  for (size_t i = kCount; i < 32; ++i) EXPECT_EQ(out[i], 0) << i;
  EXPECT_EQ(out[32], 0xdead);
}

TEST_P(Bf16GemmTest, RoundsRowsOfAnyLength) {
  for (size_t count = 0; count < 100; ++count) {
    std::vector<float> x;
    for (size_t i = 0; i < count; ++i) x.push_back(float_of_bits(static_cast<uint32_t>(random_())));
    size_t padded = (count + 31) / 32 * 32;
    std::vector<uint16_t> out(padded + 1, 0xdead);
    gemm().round(x.data(), count, out.data());
    for (size_t i = 0; i < padded; ++i) {
      float value = i < count ? flush(x[i]) : 0;
      uint32_t bits = bits_of(value);
      bits += 0x7fff + (bits >> 16 & 1);
      EXPECT_PRED2(same_number, float_of_bits(uint32_t{out[i]} << 16), std::isnan(value) ? NAN : float_of_bits(bits & 0xffff0000));
    }
    EXPECT_EQ(out[padded], 0xdead);
  }
}

TEST_P(Bf16GemmTest, IsTheKernelOfItsInstructionSet) {
  std::string name(gemm().name);
  EXPECT_EQ(name.substr(name.rfind('_') + 1), GetParam() == Isa::avx512bf16 ? "avx512bf16" : "scalar");
}

INSTANTIATE_TEST_SUITE_P(All, Bf16GemmTest, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace nibble::cpu
