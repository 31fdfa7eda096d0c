#include "device/cpu/kernels/float_gemm.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "cpu_kernels/float_gemm_matrix.hpp"

namespace nibble::cpu {
namespace {

constexpr CodeType kTypes[] = {CodeType::u4,  CodeType::u8,   CodeType::level4, CodeType::f8e4m3,
                               CodeType::f16, CodeType::bf16, CodeType::f32};
constexpr const char* kTypeNames[] = {"u4", "u8", "level4", "f8e4m3", "f16", "bf16", "f32"};
constexpr ScaleType kScales[] = {ScaleType::none, ScaleType::f16, ScaleType::f32};

using Random = std::mt19937;

uint32_t below(Random& random, uint32_t end) { return static_cast<uint32_t>(random() % end); }

/// A finite code; of floats, of any size that keeps sums finite, and one in sixteen denormal.
uint32_t random_code(CodeType type, Random& random) {
  uint32_t sign = below(random, 2), tiny = below(random, 16) == 0;
  switch (type) {
    case CodeType::u4:
    case CodeType::level4: return below(random, 16);
    case CodeType::u8: return below(random, 256);
    case CodeType::f8e4m3: return sign << 7 | (tiny ? below(random, 8) : below(random, 127));
    case CodeType::f16: return sign << 15 | (tiny ? below(random, 1024) : below(random, 31 << 10));
    case CodeType::bf16: return sign << 15 | (tiny ? below(random, 128) : (110 + below(random, 30)) << 7 | below(random, 128));
    case CodeType::f32: return sign << 31 | (tiny ? below(random, 1 << 23) : (110 + below(random, 30)) << 23 | below(random, 1 << 23));
  }
  return 0;
}

uint32_t random_scale(ScaleType type, Random& random) {
  if (type == ScaleType::f16) return below(random, 31 << 10) | below(random, 2) << 15;
  return (100 + below(random, 40)) << 23 | below(random, 1 << 23);
}

CodeMatrix random_matrix(CodeType type, ScaleType scale_type, size_t rows, size_t columns, size_t group_size, Random& random) {
  CodeMatrix m{.type = type, .scale_type = scale_type, .rows = rows, .columns = columns, .group_size = group_size};
  m.zero_point_per_group = m.is_integer() && below(random, 2);
  m.zero_point = m.is_integer() ? static_cast<int>(below(random, type == CodeType::u4 ? 16 : 256)) : 0;
  for (size_t i = 0; i < rows * columns; ++i) m.codes.push_back(random_code(type, random));
  for (size_t i = 0; i < rows * m.groups(); ++i) {
    m.scales.push_back(random_scale(scale_type, random));
    m.zero_points.push_back(static_cast<uint8_t>(below(random, type == CodeType::u4 ? 16 : 256)));
  }
  for (float& level : m.levels) level = std::ldexp(static_cast<float>(random()), -32) * 2 - 1;
  return m;
}

/// Rows of activations padded to whole chunks with zeros.
struct Activations {
  size_t rows, columns, stride;
  std::vector<float> values;

  Activations(size_t row_count, size_t column_count, Random& random)
      : rows(row_count), columns(column_count), stride((column_count + 31) / 32 * 32 + 32), values(rows * stride) {
    std::normal_distribution<float> normal;
    for (size_t m = 0; m < rows; ++m)
      for (size_t k = 0; k < columns; ++k) at(m, k) = normal(random);
  }
  float& at(size_t m, size_t k) { return values[m * stride + k]; }
  float at(size_t m, size_t k) const { return values[m * stride + k]; }
};

float expected(const CodeMatrix& w, const Activations& x, size_t m, size_t row) {
  float y = 0, t = 0;
  bool one_group = w.scale_type == ScaleType::none && !w.zero_point_per_group;
  for (size_t g = 0; g < w.groups(); ++g) {
    if (!one_group) t = 0;
    for (size_t k = g * w.group(); k < std::min(w.padded(), (g + 1) * w.group()); ++k) {
      float weight = k < w.columns ? w.value(row, k) : 0;  // padding meets activations of zero
      t = std::fma(x.at(m, k), weight - w.zero_point_of(row, g), t);
    }
    y = std::fma(t, w.scale_of(row, g), one_group ? 0 : y);
  }
  return y;
}

constexpr float kUntouched = -12345;

/// Results of `rows` of x and `panels` of w in a matrix of all rows of x and one column more than w has rows, `kUntouched` elsewhere.
std::vector<float> multiply(const FloatGemm& gemm, const PackedMatrix& w, const Activations& x, Range panels, Range rows) {
  std::vector<float> out(x.rows * (w.rows + 1), kUntouched);
  gemm.multiply(w, x.values.data(), x.stride, {.data = out.data(), .stride = w.rows + 1}, panels, rows);
  return out;
}

std::vector<float> multiply(const FloatGemm& gemm, const PackedMatrix& w, const Activations& x) {
  return multiply(gemm, w, x, {0, w.panels()}, {0, x.rows});
}

void expect_products(const std::vector<float>& out, const CodeMatrix& w, const Activations& x) {
  for (size_t m = 0; m < x.rows; ++m) {
    for (size_t row = 0; row < w.rows; ++row)
      ASSERT_PRED2(same_number, out[m * (w.rows + 1) + row], expected(w, x, m, row)) << "row " << m << " of x, row " << row << " of w";
    ASSERT_EQ(out[m * (w.rows + 1) + w.rows], kUntouched) << "beyond row " << m;
  }
}

class FloatGemmTest : public testing::TestWithParam<std::tuple<Isa, CodeType>> {
 protected:
  Isa isa() const { return std::get<0>(GetParam()); }
  CodeType type() const { return std::get<1>(GetParam()); }
  const FloatGemm& gemm() const { return float_gemm(type(), isa()); }
  Random random_{7};
};

TEST_P(FloatGemmTest, IsTheDefinedSumForEveryScaleTypeGroupSizeAndShape) {
  size_t activation_rows = 0;
  for (ScaleType scale_type : kScales)
    for (size_t group_size : {0, 8, 10, 16, 32, 48, 128})
      for (size_t rows : {1, 15, 17, 33})
        for (size_t columns : {32, 33, 100, 160}) {
          CodeMatrix w = random_matrix(type(), scale_type, rows, columns, group_size, random_);
          Activations x(activation_rows++ % 9 + 1, columns, random_);
          SCOPED_TRACE(testing::Message() << "scale type " << static_cast<int>(scale_type) << ", groups of " << group_size << ", " << rows
                                          << " x " << columns << ", " << x.rows << " rows of x");
          ASSERT_NO_FATAL_FAILURE(expect_products(multiply(gemm(), Packed(w).view(), x), w, x));
        }
}

TEST_P(FloatGemmTest, IsTheDefinedSumForManyRowsAndColumns) {
  for (size_t group_size : {0, 24, 48, 64, 100, 256}) {
    CodeMatrix w = random_matrix(type(), ScaleType::f32, 70, 300, group_size, random_);
    Activations x(101, 300, random_);
    SCOPED_TRACE(testing::Message() << "groups of " << group_size);
    ASSERT_NO_FATAL_FAILURE(expect_products(multiply(gemm(), Packed(w).view(), x), w, x));
  }
}

TEST_P(FloatGemmTest, AResultDoesNotDependOnTheNumberOfRows) {
  CodeMatrix w = random_matrix(type(), ScaleType::f16, 33, 160, 32, random_);
  Packed packed(w);
  Activations x(40, 160, random_);
  std::vector<float> all = multiply(gemm(), packed.view(), x);
  for (size_t count = 1; count < 40; ++count) {
    std::vector<float> some = multiply(gemm(), packed.view(), x, {0, 3}, {40 - count, 40});
    for (size_t i = 0; i < some.size(); ++i)
      ASSERT_PRED2(same_number, some[i], i < (40 - count) * 34 ? kUntouched : all[i]) << count << " rows, " << i;
  }
}

TEST_P(FloatGemmTest, PanelsAreWrittenOneByOne) {
  CodeMatrix w = random_matrix(type(), ScaleType::f32, 16 * 9 - 3, 96, 16, random_);
  Packed packed(w);
  for (size_t count : {1, 2, 3, 4, 5, 13}) {
    Activations x(count, 96, random_);
    std::vector<float> all = multiply(gemm(), packed.view(), x);
    for (Range panels : {Range{0, 1}, Range{3, 4}, Range{1, 8}, Range{2, 9}, Range{4, 4}}) {
      std::vector<float> some = multiply(gemm(), packed.view(), x, panels, {0, count});
      for (size_t i = 0; i < some.size(); ++i) {
        size_t row = i % (w.rows + 1);
        bool inside = row < w.rows && row / 16 >= panels.begin && row / 16 < panels.end;
        ASSERT_PRED2(same_number, some[i], inside ? all[i] : kUntouched) << "panels " << panels.begin << " .. " << panels.end << ", " << i;
      }
    }
  }
}

TEST_P(FloatGemmTest, AddsBiasThenWhatWasThere) {
  for (size_t count : {1, 3, 14}) {
    CodeMatrix w = random_matrix(type(), ScaleType::f32, 23, 64, 32, random_);
    Activations x(count, 64, random_), residual(count, 23, random_), bias(1, 23, random_);
    std::vector<float> out = residual.values;
    Packed packed(w);
    gemm().multiply(packed.view(), x.values.data(), x.stride,
                    {.data = out.data(), .stride = residual.stride, .bias = bias.values.data(), .accumulate = true}, {0, 2}, {0, count});
    for (size_t m = 0; m < count; ++m)
      for (size_t row = 0; row < 23; ++row)
        EXPECT_PRED2(same_number, out[m * residual.stride + row], expected(w, x, m, row) + bias.at(0, row) + residual.at(m, row));
  }
}

TEST_P(FloatGemmTest, NotANumberAndInfinityStayInTheirRow) {
  for (size_t count : {4, 24}) {
    CodeMatrix w = random_matrix(type(), ScaleType::f32, 20, 96, 32, random_);
    Activations x(count, 96, random_);
    x.at(1, 50) = NAN;
    x.at(2, 51) = INFINITY;
    std::vector<float> out = multiply(gemm(), Packed(w).view(), x);
    for (size_t row = 0; row < 20; ++row) {
      EXPECT_TRUE(std::isnan(out[21 + row]));
      EXPECT_FALSE(std::isfinite(out[2 * 21 + row]));
      EXPECT_TRUE(std::isfinite(out[row]) && std::isfinite(out[3 * 21 + row]));
    }
    expect_products(out, w, x);
  }
}

TEST_P(FloatGemmTest, DenormalActivationsAndResultsAreNotFlushed) {
  for (size_t count : {2, 10}) {
    CodeMatrix w = random_matrix(type(), ScaleType::none, 16, 64, 0, random_);
    Activations x(count, 64, random_);
    for (float& value : x.values) value *= 0x1p-135f;
    std::vector<float> out = multiply(gemm(), Packed(w).view(), x);
    expect_products(out, w, x);
    bool any = std::any_of(out.begin(), out.end(), [](float y) { return y != kUntouched && y != 0; });
    EXPECT_TRUE(any);
  }
}

TEST_P(FloatGemmTest, EveryCodeInEveryPlace) {
  std::vector<uint32_t> codes;
  if (type() == CodeType::u4 || type() == CodeType::level4)
    for (uint32_t code = 0; code < 16; ++code) codes.push_back(code);
  else if (type() == CodeType::u8)
    for (uint32_t code = 0; code < 256; ++code) codes.push_back(code);
  else if (type() == CodeType::f8e4m3)
    for (uint32_t code = 0; code < 256; ++code) (code & 0x7f) != 0x7f ? codes.push_back(code) : void();
  else if (type() == CodeType::f32)
    codes = {0, 0x80000000, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x3f800000};
  else
    for (uint32_t code = 0; code < 65536; code += 31) codes.push_back(code);
  CodeMatrix w = random_matrix(type(), ScaleType::none, 16, 32, 0, random_);
  w.zero_point_per_group = false;
  Activations x(1, 32, random_);
  for (uint32_t code : codes) {
    w.codes.assign(w.codes.size(), code);
    ASSERT_NO_FATAL_FAILURE(expect_products(multiply(gemm(), Packed(w).view(), x), w, x)) << "code " << code;
  }
}

TEST_P(FloatGemmTest, HugeScalesOverflowAsDefined) {
  CodeMatrix w = random_matrix(type(), ScaleType::f32, 17, 96, 16, random_);
  for (uint32_t& scale : w.scales) scale = 0x7f000000 | below(random_, 2) << 31;
  for (size_t count : {1, 7}) {
    Activations x(count, 96, random_);
    expect_products(multiply(gemm(), Packed(w).view(), x), w, x);
  }
}

TEST_P(FloatGemmTest, NoRowsAndNoPanelsWriteNothing) {
  CodeMatrix w = random_matrix(type(), ScaleType::f32, 17, 32, 0, random_);
  Activations x(3, 32, random_);
  std::vector<float> untouched(3 * 18, kUntouched);
  EXPECT_EQ(multiply(gemm(), Packed(w).view(), x, {0, 2}, {1, 1}), untouched);
  EXPECT_EQ(multiply(gemm(), Packed(w).view(), x, {1, 1}, {0, 3}), untouched);
}

TEST_P(FloatGemmTest, IsTheKernelOfItsInstructionSet) {
  std::string name(gemm().name), wanted(isa() == Isa::avx2vnni ? "avx2" : isa() == Isa::avx512bf16 ? "avx512vnni" : to_string(isa()));
  EXPECT_EQ(name.substr(name.rfind('_') + 1), wanted);
  EXPECT_NE(name.find(std::string("_f32_") + kTypeNames[static_cast<size_t>(type())] + "_"), std::string::npos) << name;
}

std::string name_of(const testing::TestParamInfo<std::tuple<Isa, CodeType>>& info) {
  return std::string(to_string(std::get<0>(info.param))) + "_" + kTypeNames[static_cast<size_t>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(All, FloatGemmTest, testing::Combine(testing::ValuesIn(available_isas()), testing::ValuesIn(kTypes)), name_of);

}  // namespace
}  // namespace nibble::cpu
