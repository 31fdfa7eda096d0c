// What compression does with every weight, from 16 bits to packed codes: halves in the shape of a 70 billion parameter model's rows, per
// instruction set. The rate is in bytes of halves; two threads work as an export's do, on slices of their own.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "compress/quantize.hpp"

namespace nibble {
namespace {

constexpr size_t kGroup = 128, kGroups = 64, kBatches = 64;  // a batch of 8192 weights, 1 MB of halves in all

std::vector<uint16_t> random_halves(size_t count) {
  std::mt19937 random(1);
  std::vector<uint16_t> halves(count);
  for (uint16_t& half : halves) half = static_cast<uint16_t>(random() & 0xafff);
  return halves;
}

/// One batch after another through buffers that stay in the cache, as CompressedWeight does it.
void compress(benchmark::State& state, CompressWeightsMode mode, const QuantizeKernels& kernels) {
  constexpr size_t kWeights = kGroup * kGroups;
  auto halves = random_halves(kWeights * kBatches);
  std::vector<float> weights(kWeights), scales(kGroups);
  std::vector<uint8_t> codes(kWeights), zero_points(kGroups);
  std::vector<std::byte> packed(kWeights * kBatches);
  QuantizeRule rule{.mode = mode, .group_size = kGroup};
  ElementType type = weight_format(mode).codes;
  for (auto _ : state)
    for (size_t batch = 0; batch < kBatches; ++batch) {
      kernels.widen_f16(reinterpret_cast<const std::byte*>(halves.data() + batch * kWeights), kWeights, weights.data());
      benchmark::DoNotOptimize(kernels.count_not_finite(weights.data(), kWeights));
      quantize_groups(weights, rule, {codes, scales, zero_points}, kernels);
      pack_codes(type, codes, packed.data(), batch * kWeights, kernels);
      benchmark::DoNotOptimize(packed.data());
    }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(halves.size() * sizeof(uint16_t)));
}

int register_all() {
  using Mode = CompressWeightsMode;
  for (Mode mode : {Mode::int4_sym, Mode::int4_asym, Mode::int8_sym, Mode::int8_asym})
    for (const QuantizeKernels* kernels : available_quantize_kernels()) {
      std::string name = std::string(to_string(mode)) + "/" + std::string(kernels->isa);
      auto run = [mode, kernels](benchmark::State& state) { compress(state, mode, *kernels); };
      benchmark::RegisterBenchmark(name.c_str(), run)->Threads(1)->Threads(2)->UseRealTime();
    }
  return 0;
}

[[maybe_unused]] const int kRegistered = register_all();

}  // namespace
}  // namespace nibble
