// The data-aware methods on one weight in the shape of a 1.1 billion parameter model's down_proj, 128 samples of 128 tokens.
#include <benchmark/benchmark.h>

#include <random>

#include "compress/awq.hpp"
#include "compress/gptq.hpp"
#include "compress/hessian.hpp"
#include "compress/lora_correction.hpp"
#include "compress/scale_estimation.hpp"

namespace nibble {
namespace {

constexpr size_t kRows = 2048, kColumns = 5632, kSamples = 128, kTokens = 128;

std::vector<float> random_floats(size_t count, float width) {
  std::mt19937 random(1);
  std::vector<float> values(count);
  for (float& value : values) value = width * (static_cast<float>(random() % 2001) / 1000 - 1);
  return values;
}

class RandomInputs final : public LayerInputs {
 public:
  size_t count() const override { return kSamples; }
  Tensor sample(size_t) const override { return sample_; }

 private:
  Tensor sample_ = Tensor::from<float>({1, kTokens, kColumns}, random_floats(kTokens* kColumns, 1));
};

struct Layer {
  ThreadPool threads;
  RandomInputs inputs;
  Tensor weight = Tensor::from<float>({kRows, kColumns}, random_floats(kRows* kColumns, 0.05f));
  MatrixLayout layout{1, kRows, kColumns, false};
  QuantizeRule rule{.mode = CompressWeightsMode::int4_sym, .group_size = 128, .large = true};
  std::unique_ptr<ActivationStatistics> means = collect_means(inputs, kSamples, false, "layer", threads);
};

Layer& layer() {
  static Layer layer;
  return layer;
}

void awq(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(awq_scales(layer().weight, layer().layout, layer().rule, *layer().means, {}, nullptr, false, layer().threads));
}

void scale_estimation(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(estimate_scales(layer().weight, layer().layout, layer().rule, *layer().means, {}, layer().threads));
}

void hessian(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(input_hessian(layer().inputs, kSamples, kColumns, false, 0, "layer", layer().threads));
}

void gptq_without_hessian(benchmark::State& state) {
  auto squares = input_hessian(layer().inputs, kSamples, kColumns, false, 0, "layer", layer().threads);
  auto values = layer().weight.as<float>();
  for (auto _ : state)
    benchmark::DoNotOptimize(gptq({values.begin(), values.end()}, kRows, squares, layer().rule, {}, nullptr, 0, "layer", layer().threads));
}

void lora_correction(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(
        lora_adapters(layer().weight, layer().layout, layer().rule, nullptr, *layer().means, true, {}, layer().threads));
}

BENCHMARK(awq)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(scale_estimation)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(hessian)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(gptq_without_hessian)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(lora_correction)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
}  // namespace nibble
