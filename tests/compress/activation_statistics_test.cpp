#include "compress/activation_statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compress/hessian.hpp"
#include "lockstep.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

using test::GivenInputs;

Tensor tensor(Shape shape, std::vector<float> values) { return Tensor::from<float>(std::move(shape), values); }

double activation_sensitivity(const LayerInputs& inputs, SensitivityMetric metric, ThreadPool& threads) {
  SensitivityCollector collector(8, metric);
  collector.add(inputs, "layer", threads);
  return collector.average("layer");
}

std::vector<float> column(const SampleMeans& means, size_t c) {
  return {means.values.begin() + static_cast<std::ptrdiff_t>(c * means.samples),
          means.values.begin() + static_cast<std::ptrdiff_t>((c + 1) * means.samples)};
}

TEST(ActivationStatistics, AreMeansOverTokens) {
  ThreadPool threads(2);
  GivenInputs inputs({tensor({1, 2, 3}, {1, 2, 3, 3, 4, -9}), tensor({1, 1, 3}, {0, 7, 1})});
  auto statistics = collect_means(inputs, 8, false, "layer", threads);
  EXPECT_EQ(statistics->samples(), 2u);
  EXPECT_EQ(statistics->columns(), 3u);
  EXPECT_EQ(std::vector<float>(statistics->largest(0).begin(), statistics->largest(0).end()), (std::vector<float>{2, 7, 3}));
  EXPECT_EQ(column(statistics->subset(0, 8), 2), (std::vector<float>{-3, 1}));
}

TEST(ActivationStatistics, OfStackedExpertsAreKeptApart) {
  ThreadPool threads(1);
  GivenInputs inputs({tensor({2, 2, 1}, {1, 3, 5, 7})});
  auto apart = collect_means(inputs, 8, true, "layer", threads);
  EXPECT_EQ(apart->matrices(), 2u);
  EXPECT_EQ(apart->largest(0)[0], 2);
  EXPECT_EQ(apart->largest(1)[0], 6);
  EXPECT_EQ(collect_means(inputs, 8, false, "layer", threads)->largest(0)[0], 4);
}

TEST(ActivationStatistics, PickSamplesAsNncf) {
  // NNCF's process_stats([..], 2) for samples of 3, 9, 9, 1, 5 tokens: every second one of 1, 2, 4, 0, 3.
  ActivationStatistics statistics(1, 1, {{10}, {11}, {12}, {13}, {14}}, {3, 9, 9, 1, 5});
  EXPECT_EQ(statistics.subset(0, 2).values, (std::vector<float>{11, 14, 13}));
  EXPECT_EQ(statistics.subset(0, 4).values, (std::vector<float>{11, 12, 14, 10, 13}));
  EXPECT_EQ(statistics.subset(0, 5).values, (std::vector<float>{10, 11, 12, 13, 14}));
  std::vector<size_t> sizes{2};
  statistics.keep(sizes);
  EXPECT_EQ(statistics.subset(0, 2).values, (std::vector<float>{11, 14, 13}));
  EXPECT_EQ(statistics.largest(0)[0], 14);
  std::vector<float> factors{0.5f};
  statistics.scale(factors);
  EXPECT_EQ(statistics.subset(0, 2).values, (std::vector<float>{5.5f, 7, 6.5f}));
  EXPECT_EQ(statistics.largest(0)[0], 7);
}

TEST(ActivationStatistics, MeasureSensitivity) {
  ThreadPool threads(2);
  // Two tokens of two columns, then one token.
  GivenInputs inputs({tensor({1, 2, 2}, {1, -4, 3, 0}), tensor({1, 1, 2}, {2, 2})});
  auto measured = [&](SensitivityMetric metric) { return activation_sensitivity(inputs, metric, threads); };
  EXPECT_DOUBLE_EQ(measured(SensitivityMetric::mean_activation_variance), ((1.0 + 4.0) / 2 + 0) / 2);
  EXPECT_DOUBLE_EQ(measured(SensitivityMetric::max_activation_variance), (4.0 + 0) / 2);
  EXPECT_DOUBLE_EQ(measured(SensitivityMetric::mean_activation_magnitude), ((3.0 + 4.0) / 2 + 2) / 2);
  EXPECT_DOUBLE_EQ(measured(SensitivityMetric::hessian_input_activation), 2 * (26.0 / 4 + 4) / 2);
}

TEST(ActivationStatistics, PassOverSamplesThatDoNotReachTheLayer) {
  ThreadPool threads(2);
  GivenInputs inputs({tensor({0, 2}, {}), tensor({2, 2}, {1, 2, 3, 4}), tensor({0, 2}, {})});
  auto statistics = collect_means(inputs, 8, false, "layer", threads);
  EXPECT_EQ(statistics->samples(), 1u);
  EXPECT_EQ(column(statistics->subset(0, 8), 1), (std::vector<float>{3}));
  EXPECT_DOUBLE_EQ(activation_sensitivity(inputs, SensitivityMetric::hessian_input_activation, threads), 2 * 30.0 / 4);
  EXPECT_EQ(input_hessian(inputs, 8, 2, false, 0, "layer", threads)[0], 20);
  GivenInputs nothing({tensor({0, 2}, {})});
  EXPECT_EQ(collect_means(nothing, 8, false, "layer", threads)->largest(0)[1], 0);
  EXPECT_EQ(input_hessian(nothing, 8, 2, false, 0, "layer", threads)[3], 0);
  EXPECT_EQ(activation_sensitivity(nothing, SensitivityMetric::max_activation_variance, threads), 0);
}

TEST(Hessian, IsTwiceTheMeanOfProducts) {
  ThreadPool threads(2);
  GivenInputs inputs({tensor({1, 2, 2}, {1, -4, 3, 0}), tensor({1, 1, 2}, {2, 2})});
  auto hessian = input_hessian(inputs, 8, 2, false, 0, "layer", threads);
  EXPECT_EQ(hessian[0], 14);
  EXPECT_EQ(hessian[1], 0);
  EXPECT_EQ(hessian[3], 20);
  GivenInputs experts({tensor({2, 1, 1}, {3, 5})});
  EXPECT_EQ(input_hessian(experts, 8, 1, true, 1, "layer", threads)[0], 50);
}

ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::cancelled;
}

TEST(ActivationStatistics, RefuseWhatIsNoInput) {
  ThreadPool threads(1);
  float infinity = std::numeric_limits<float>::infinity();
  auto collect = [&](std::vector<Tensor> samples) {
    GivenInputs inputs(std::move(samples));
    return kind_of([&] { collect_means(inputs, 8, false, "layer", threads); });
  };
  EXPECT_EQ(collect({}), ErrorKind::invalid_argument);
  EXPECT_EQ(collect({tensor({1, 2, 0}, {})}), ErrorKind::corrupt);
  EXPECT_EQ(collect({tensor({2}, {1, 2})}), ErrorKind::corrupt);
  EXPECT_EQ(collect({tensor({1, 1, 2}, {1, infinity})}), ErrorKind::corrupt);
  EXPECT_EQ(collect({tensor({1, 1, 2}, {1, 2}), tensor({1, 1, 3}, {1, 2, 3})}), ErrorKind::corrupt);
  EXPECT_EQ(collect({Tensor(ElementType::f16, {1, 1, 2})}), ErrorKind::corrupt);
  GivenInputs bad({tensor({1, 1, 2}, {1, std::nanf("")})});
  EXPECT_EQ(kind_of([&] { input_hessian(bad, 8, 2, false, 0, "layer", threads); }), ErrorKind::corrupt);
  EXPECT_EQ(kind_of([&] { activation_sensitivity(bad, SensitivityMetric::max_activation_variance, threads); }), ErrorKind::corrupt);
  EXPECT_EQ(kind_of([&] { input_hessian(bad, 8, 3, false, 0, "layer", threads); }), ErrorKind::corrupt);
}

}  // namespace
}  // namespace nibble
