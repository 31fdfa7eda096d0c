#include "device/cpu/kernels/row_ops.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tensor/float_types.hpp"

namespace nibble::cpu {
namespace {

using Row = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kUntouched = 12345;
constexpr Activation kActivations[]{Activation::identity,  Activation::silu,        Activation::gelu_erf,
                                    Activation::gelu_tanh, Activation::relu,        Activation::sigmoid,
                                    Activation::tanh,      Activation::square_relu, Activation::exp};

Row random_row(size_t count, uint32_t seed, float deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  Row row(count);
  for (float& x : row) x = normal(random);
  return row;
}

/// Random bit patterns: every exponent, subnormals, infinities and NaN.
Row random_bits(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  Row row(count);
  for (float& x : row) x = std::bit_cast<float>(static_cast<uint32_t>(random()));
  return row;
}

/// The same bits, or NaN in both.
testing::AssertionResult same(const Row& a, const Row& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << "sizes " << a.size() << " and " << b.size();
  for (size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i]) && !(std::isnan(a[i]) && std::isnan(b[i])))
      return testing::AssertionFailure() << "value " << i << " of " << a.size() << ": " << a[i] << " and " << b[i];
  return testing::AssertionSuccess();
}

/// An operation on a row of as many values as a and b have, c has half as many.
struct Operation {
  std::string name;
  std::function<void(const RowOps&, const Row& a, const Row& b, const Row& c, float* out)> run;
};

std::vector<Operation> operations() {
  std::vector<Operation> all{
      {"rms_norm", [](auto& ops, auto& a, auto& b, auto&, float* out) { ops.rms_norm(a.data(), b.data(), 1e-5f, a.size(), out); }},
      {"rms_norm without weight",
       [](auto& ops, auto& a, auto&, auto&, float* out) { ops.rms_norm(a.data(), nullptr, 1e-5f, a.size(), out); }},
      {"layer_norm",
       [](auto& ops, auto& a, auto& b, auto&, float* out) { ops.layer_norm(a.data(), b.data(), b.data(), 1e-5f, a.size(), out); }},
      {"layer_norm without weight",
       [](auto& ops, auto& a, auto& b, auto&, float* out) { ops.layer_norm(a.data(), nullptr, b.data(), 1e-5f, a.size(), out); }},
      {"layer_norm without bias",
       [](auto& ops, auto& a, auto& b, auto&, float* out) { ops.layer_norm(a.data(), b.data(), nullptr, 1e-5f, a.size(), out); }},
      {"add", [](auto& ops, auto& a, auto& b, auto&, float* out) { ops.add(a.data(), b.data(), a.size(), out); }},
      {"multiply", [](auto& ops, auto& a, auto& b, auto&, float* out) { ops.multiply(a.data(), b.data(), a.size(), out); }},
      {"scale", [](auto& ops, auto& a, auto&, auto&, float* out) { ops.scale(a.data(), 1.7f, -0.3f, a.size(), out); }},
      {"accumulate", [](auto& ops, auto& a, auto&, auto&, float* out) { ops.accumulate(a.data(), 1.7f, a.size(), out); }},
      {"softmax", [](auto& ops, auto& a, auto&, auto&, float* out) { ops.softmax(a.data(), a.size(), out); }},
      {"rotate_halves",
       [](auto& ops, auto& a, auto& b, auto& c, float* out) { ops.rotate_halves(a.data(), b.data(), c.data(), a.size(), out); }},
      {"rotate_pairs",
       [](auto& ops, auto& a, auto& b, auto& c, float* out) { ops.rotate_pairs(a.data(), b.data(), c.data(), a.size(), out); }},
  };
  for (Activation f : kActivations) {
    auto number = std::to_string(static_cast<int>(f));
    all.push_back({"activate " + number, [f](auto& ops, auto& a, auto&, auto&, float* out) { ops.activate(f, a.data(), a.size(), out); }});
    all.push_back(
        {"gated " + number, [f](auto& ops, auto& a, auto& b, auto&, float* out) { ops.gated(f, a.data(), b.data(), a.size(), out); }});
  }
  return all;
}

/// The result, after a check that nothing behind it was written.
Row run(const Operation& operation, const RowOps& ops, const Row& a, const Row& b, const Row& c) {
  Row out(a.size() + 32, kUntouched);
  operation.run(ops, a, b, c, out.data());
  for (size_t i = a.size(); i < out.size(); ++i)
    EXPECT_EQ(out[i], kUntouched) << operation.name << ", " << i - a.size() << " behind the end";
  out.resize(a.size());
  return out;
}

class RowOpsTest : public testing::TestWithParam<Isa> {
 protected:
  const RowOps& ops() const { return row_ops(GetParam()); }
  const RowOps& scalar() const { return row_ops(Isa::scalar); }

  /// Inputs of exactly as many values as are to be read, so that a sanitizer sees more.
  void expect_as_scalar(const Row& a, const Row& b) const {
    const Row half(b.begin(), b.begin() + static_cast<ptrdiff_t>(b.size() / 2));
    for (const Operation& operation : operations()) {
      const bool rotation = operation.name.starts_with("rotate");
      if (rotation && a.size() % 2) continue;
      const Row& second = rotation ? half : b;
      EXPECT_TRUE(same(run(operation, ops(), a, second, half), run(operation, scalar(), a, second, half)))
          << operation.name << " of " << a.size();
    }
  }

  float activated(Activation f, float x) const {
    float out;
    ops().activate(f, &x, 1, &out);
    return out;
  }

  template <class Reference>
  void expect_close(Activation f, const Row& xs, double relative, double absolute, Reference reference) const {
    Row out(xs.size());
    ops().activate(f, xs.data(), xs.size(), out.data());
    for (size_t i = 0; i < xs.size(); ++i) {
      const double expected = reference(static_cast<double>(xs[i]));
      ASSERT_NEAR(out[i], expected, std::abs(expected) * relative + absolute) << "at " << xs[i];
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Isas, RowOpsTest, testing::ValuesIn(available_isas()),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

/// Every `step`-th float of [low, high], in both signs where low is 0.
Row sweep(float low, float high, uint32_t step) {
  Row row;
  for (uint32_t bits = std::bit_cast<uint32_t>(low); bits <= std::bit_cast<uint32_t>(high); bits += step) {
    row.push_back(std::bit_cast<float>(bits));
    row.push_back(-row.back());
  }
  return row;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_P(RowOpsTest, SameBitsAsScalarForEveryLength) {
  for (size_t count = 1; count <= 200; ++count) expect_as_scalar(random_row(count, static_cast<uint32_t>(count), 3), random_row(count, 7));
}

TEST_P(RowOpsTest, SameBitsAsScalarForLongRows) {
  for (size_t count : {896, 2048, 4095, 11008}) expect_as_scalar(random_row(count, 1, 5), random_row(count, 2));
}

TEST_P(RowOpsTest, SameBitsAsScalarForAnyBitPattern) {
  for (uint32_t seed = 0; seed < 20; ++seed) expect_as_scalar(random_bits(1000, seed), random_bits(1000, seed + 100));
}

TEST_P(RowOpsTest, SameBitsAsScalarForExtremeFiniteValues) {
  for (float value : {0.0f, -0.0f, 1e-45f, -1e-40f, 1e-20f, 1e19f, -2e19f, 3e38f, -3e38f})
    for (size_t count : {5, 64, 131}) expect_as_scalar(Row(count, value), random_row(count, 3));
}

TEST_P(RowOpsTest, ResultMayReplaceTheInput) {
  const Row a = random_row(1002, 1), b = random_row(1002, 2), half = random_row(501, 3);
  for (const Operation& operation : operations()) {
    if (operation.name == "accumulate") continue;
    const Row& second = operation.name.starts_with("rotate") ? half : b;
    Row in_place = a;
    operation.run(ops(), in_place, second, half, in_place.data());
    EXPECT_TRUE(same(in_place, run(operation, ops(), a, second, half))) << operation.name;
  }
}

TEST_P(RowOpsTest, AnEmptyRowWritesNothing) {
  for (const Operation& operation : operations()) run(operation, ops(), {}, {}, {});
}

TEST_P(RowOpsTest, ExpIsWithinTwoUnitsInTheLastPlace) {
  for (float x : sweep(1e-9f, 104, 997)) {
    const double expected = std::exp(static_cast<double>(x));
    if (expected > std::numeric_limits<float>::max()) continue;
    const float rounded = static_cast<float>(expected);
    const double unit = std::max<double>(std::nextafter(rounded, kInfinity) - rounded, 0x1p-149);
    ASSERT_NEAR(activated(Activation::exp, x), expected, 1.2 * unit) << "at " << x;
  }
}

TEST_P(RowOpsTest, ExpOverflowsAndUnderflows) {
  EXPECT_EQ(activated(Activation::exp, 88.73f), kInfinity);
  EXPECT_EQ(activated(Activation::exp, 1e30f), kInfinity);
  EXPECT_EQ(activated(Activation::exp, kInfinity), kInfinity);
  EXPECT_EQ(activated(Activation::exp, -103.9f), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(activated(Activation::exp, -104.1f), 0);
  EXPECT_EQ(activated(Activation::exp, -kInfinity), 0);
  EXPECT_EQ(activated(Activation::exp, 0), 1);
}

TEST_P(RowOpsTest, TanhIsRelativelyExact) {
  expect_close(Activation::tanh, sweep(1e-30f, 50, 4999), 4e-7, 0, [](double x) { return std::tanh(x); });
}

TEST_P(RowOpsTest, SigmoidIsRelativelyExact) { expect_close(Activation::sigmoid, sweep(1e-9f, 87, 4999), 3e-7, 0, sigmoid); }

TEST_P(RowOpsTest, SiluIsRelativelyExact) {
  expect_close(Activation::silu, sweep(1e-9f, 87, 4999), 3e-7, 0, [](double x) { return x * sigmoid(x); });
}

TEST_P(RowOpsTest, GeluTanhIsRelativelyExact) {
  // Far out a rounding of the argument u moves exp(2 u) by as much as u is large.
  expect_close(Activation::gelu_tanh, sweep(1e-9f, 9, 4999), 1e-5, 1e-30,
               [](double x) { return x * sigmoid(2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)); });
}

TEST_P(RowOpsTest, GeluErfIsExactToTheRoundingOfErf) {
  auto gelu = [](double x) { return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5))); };
  expect_close(Activation::gelu_erf, sweep(1e-9f, 1, 997), 1e-6, 0, gelu);
  expect_close(Activation::gelu_erf, sweep(1, 6, 997), 4e-7, 8e-7, gelu);
  expect_close(Activation::gelu_erf, sweep(6, 1e30f, 4999), 1e-7, 0, [](double x) { return x > 0 ? x : 0; });
}

TEST_P(RowOpsTest, NaNAndInfinityBehaveAsTheFormulas) {
  auto formula = [](Activation f, float x) {
    switch (f) {
      case Activation::silu: return x / (1 + std::exp(-x));
      case Activation::gelu_erf: return 0.5f * x * (1 + std::erf(x));
      case Activation::gelu_tanh: return 0.5f * x * (1 + std::tanh(x));
      case Activation::relu: return x < 0 ? 0 : x;
      case Activation::sigmoid: return 1 / (1 + std::exp(-x));
      case Activation::tanh: return std::tanh(x);
      case Activation::square_relu: return x < 0 ? 0 : x * x;
      case Activation::exp: return std::exp(x);
      default: return x;
    }
  };
  for (Activation f : kActivations)
    for (float x : {kNaN, -kNaN, kInfinity, -kInfinity, 0.0f, -0.0f})
      EXPECT_TRUE(same({activated(f, x)}, {formula(f, x)})) << static_cast<int>(f) << " of " << x;
}

TEST_P(RowOpsTest, GatedIsTheProductWithTheActivation) {
  const Row gate = random_row(77, 1), up = random_row(77, 2);
  for (Activation f : kActivations) {
    Row out(77), expected(77);
    ops().gated(f, gate.data(), up.data(), 77, out.data());
    ops().activate(f, gate.data(), 77, expected.data());
    for (size_t i = 0; i < 77; ++i) expected[i] *= up[i];
    EXPECT_TRUE(same(out, expected)) << static_cast<int>(f);
  }
}

TEST_P(RowOpsTest, RmsNorm) {
  const Row x = random_row(1025, 1, 4), weight = random_row(1025, 2);
  Row out(x.size());
  ops().rms_norm(x.data(), weight.data(), 1e-6f, x.size(), out.data());
  const double mean = std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / 1025;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = x[i] / std::sqrt(mean + 1e-6) * weight[i];
    EXPECT_NEAR(out[i], expected, std::abs(expected) * 1e-6);
  }
}

TEST_P(RowOpsTest, RmsNormOfZerosNeedsTheEpsilon) {
  Row zeros(20), out(20, kUntouched);
  ops().rms_norm(zeros.data(), nullptr, 1e-6f, 20, out.data());
  EXPECT_TRUE(same(out, zeros));
}

TEST_P(RowOpsTest, LayerNormOfAShiftedRow) {
  Row x = random_row(1025, 1);
  for (float& v : x) v += 50;  // the variance is small beside the mean square
  const Row weight = random_row(1025, 2), bias = random_row(1025, 3);
  Row out(x.size());
  ops().layer_norm(x.data(), weight.data(), bias.data(), 1e-5f, x.size(), out.data());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / 1025;
  const double squares = std::accumulate(x.begin(), x.end(), 0.0, [=](double sum, double v) { return sum + (v - mean) * (v - mean); });
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(out[i], (x[i] - mean) / std::sqrt(squares / 1025 + 1e-5) * weight[i] + bias[i], 3e-5);
}

TEST_P(RowOpsTest, SoftmaxIsRelativelyExact) {
  for (size_t count : {1, 7, 64, 1000}) {
    const Row x = random_row(count, 5, 10);
    Row out(count);
    ops().softmax(x.data(), count, out.data());
    double total = 0;
    for (float v : x) total += std::exp(static_cast<double>(v));
    for (size_t i = 0; i < count; ++i) {
      const double expected = std::exp(static_cast<double>(x[i])) / total;
      EXPECT_NEAR(out[i], expected, expected * 3e-6) << x[i];  // x - maximum, up to about 60, is rounded
    }
  }
}

TEST_P(RowOpsTest, SoftmaxGivesMaskedValuesNothing) {
  const Row x{1, -kInfinity, 1, -kInfinity, -1e30f};
  Row out(5);
  ops().softmax(x.data(), 5, out.data());
  EXPECT_EQ(out, (Row{0.5f, 0, 0.5f, 0, 0}));
}

TEST_P(RowOpsTest, SoftmaxOfHugeValuesDoesNotOverflow) {
  const Row x{3e38f, 3e38f, -3e38f};
  Row out(3);
  ops().softmax(x.data(), 3, out.data());
  EXPECT_EQ(out, (Row{0.5f, 0.5f, 0}));
}

TEST_P(RowOpsTest, SoftmaxIsNaNWhereItIsUndefined) {
  for (Row x : {Row(37, -kInfinity), Row{1, kInfinity, 2}, [] {
                  Row one(37, 0.5f);
                  one[3] = kNaN;
                  return one;
                }()}) {
    Row out(x.size());
    ops().softmax(x.data(), x.size(), out.data());
    EXPECT_TRUE(same(out, Row(x.size(), kNaN)));
  }
}

TEST_P(RowOpsTest, RotatesHalvesAndPairs) {
  const size_t half = 37;
  const Row x = random_row(2 * half, 1), cos = random_row(half, 2), sin = random_row(half, 3);
  Row halves(2 * half), pairs(2 * half), expected_halves(2 * half), expected_pairs(2 * half);
  ops().rotate_halves(x.data(), cos.data(), sin.data(), 2 * half, halves.data());
  ops().rotate_pairs(x.data(), cos.data(), sin.data(), 2 * half, pairs.data());
  auto rotate = [&](size_t i, size_t first, size_t second, Row& out) {
    out[first] = x[first] * cos[i] - x[second] * sin[i];
    out[second] = x[second] * cos[i] + x[first] * sin[i];
  };
  for (size_t i = 0; i < half; ++i) {
    rotate(i, i, half + i, expected_halves);
    rotate(i, 2 * i, 2 * i + 1, expected_pairs);
  }
  EXPECT_TRUE(same(halves, expected_halves));
  EXPECT_TRUE(same(pairs, expected_pairs));
}

TEST_P(RowOpsTest, AddsMultipliesScalesAccumulates) {
  const Row a = random_row(77, 1), b = random_row(77, 2);
  Row sum(77), product(77), scaled(77), accumulated = b;
  ops().add(a.data(), b.data(), 77, sum.data());
  ops().multiply(a.data(), b.data(), 77, product.data());
  ops().scale(a.data(), 1.5f, -2.25f, 77, scaled.data());
  ops().accumulate(a.data(), 0.3f, 77, accumulated.data());
  for (size_t i = 0; i < 77; ++i) {
    EXPECT_EQ(sum[i], a[i] + b[i]);
    EXPECT_EQ(product[i], a[i] * b[i]);
    EXPECT_EQ(scaled[i], 1.5f * a[i] + -2.25f);
    EXPECT_EQ(accumulated[i], b[i] + 0.3f * a[i]);
  }
}

std::vector<uint16_t> all_halves() {
  std::vector<uint16_t> codes(65536);
  std::iota(codes.begin(), codes.end(), uint16_t{0});
  return codes;
}

TEST_P(RowOpsTest, WidensEveryHalf) {
  const std::vector<uint16_t> codes = all_halves();
  Row out(codes.size()), expected;
  for (uint16_t code : codes) expected.push_back(to_float(float16{code}));
  ops().f16_to_f32(codes.data(), codes.size(), out.data());
  EXPECT_TRUE(same(out, expected));
}

TEST_P(RowOpsTest, WidensEveryBfloat) {
  const std::vector<uint16_t> codes = all_halves();
  Row out(codes.size()), expected;
  for (uint16_t code : codes) expected.push_back(to_float(bfloat16{code}));
  ops().bf16_to_f32(codes.data(), codes.size(), out.data());
  EXPECT_TRUE(same(out, expected));
}

/// Floats next to, at and between the values whose bits are `code << shift`, and random ones.
Row rounding_cases() {
  Row row = random_bits(200000, 5);
  for (uint32_t code = 0; code < 65536; ++code)
    for (uint32_t low : {0x0u, 0x1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) row.push_back(std::bit_cast<float>(code << 16 | low));
  for (uint32_t code = 0; code < 0x7c00; ++code) {
    const float here = to_float(float16{static_cast<uint16_t>(code)});
    const float middle = here + (to_float(float16{static_cast<uint16_t>(code + 1)}) - here) / 2;
    for (float x : {here, std::nextafter(middle, 0.0f), middle, std::nextafter(middle, kInfinity)}) row.insert(row.end(), {x, -x});
  }
  for (float x : {65504.0f, 65519.99f, 65520.0f, 65536.0f, kInfinity}) row.insert(row.end(), {x, -x});
  return row;
}

TEST_P(RowOpsTest, RoundsToHalfAsTheScalarConversion) {
  const Row x = rounding_cases();
  std::vector<uint16_t> out(x.size());
  ops().f32_to_f16(x.data(), x.size(), out.data());
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]))
      ASSERT_TRUE(std::isnan(to_float(float16{out[i]}))) << i;
    else
      ASSERT_EQ(out[i], to_float16(x[i]).bits) << x[i];
  }
}

TEST_P(RowOpsTest, RoundsToBfloatAsTheScalarConversion) {
  const Row x = rounding_cases();
  std::vector<uint16_t> out(x.size());
  ops().f32_to_bf16(x.data(), x.size(), out.data());
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(out[i], to_bfloat16(x[i]).bits) << x[i];
}

TEST_P(RowOpsTest, ConversionsOfEveryLengthStayWithinIt) {
  for (size_t count = 0; count <= 40; ++count) {
    const Row x = random_row(count, 1, 100);
    for (auto [narrow, widen] : {std::pair(ops().f32_to_f16, ops().f16_to_f32), std::pair(ops().f32_to_bf16, ops().bf16_to_f32)}) {
      std::vector<uint16_t> codes(count + 20, 0x1234);
      narrow(x.data(), count, codes.data());
      const std::vector<uint16_t> exact(codes.begin(), codes.begin() + static_cast<ptrdiff_t>(count));
      Row back(count + 20, kUntouched);
      widen(exact.data(), count, back.data());
      for (size_t i = 0; i < count; ++i) EXPECT_NEAR(back[i], x[i], std::abs(x[i]) * 0x1p-8f) << i << " of " << count;
      for (size_t i = count; i < count + 20; ++i) EXPECT_TRUE(codes[i] == 0x1234 && back[i] == kUntouched) << i << " of " << count;
    }
  }
}

}  // namespace
}  // namespace nibble::cpu
