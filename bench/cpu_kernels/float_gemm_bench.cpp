#include "device/cpu/kernels/float_gemm.hpp"

#include <benchmark/benchmark.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "base/peak_loops.hpp"

// One thread. The weights of an operation follow those of the one before in 256 MB of memory ("memory") or stay the same 1 MB ("cache").
// `weights` is the rate at which they are read, `of_read` its share of what a loop reads that only adds up memory; `flop` the rate of
// operations (a multiply-add counts as two), `of_peak` its share of what a loop of nothing but such instructions does.

namespace nibble::cpu {
namespace {

constexpr size_t kMemory = size_t{256} << 20, kCache = size_t{1} << 19;
constexpr const char* kTypeNames[] = {"u4", "u8", "level4", "f8e4m3", "f16", "bf16", "f32"};

template <class Work>
double best_rate(const Work& work) {
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    const double operations = work();
    best = std::max(best, operations / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

double read_limit() {
  static const double limit = [] {
    const std::vector<float> memory(kMemory / sizeof(float), 1.0f);
    return best_rate([&] {
      benchmark::DoNotOptimize(sum_floats(memory.data(), memory.size()));
      return static_cast<double>(kMemory);
    });
  }();
  return limit;
}

/// Float operations, two for each multiply-accumulate.
double limit_of(PeakLoop loop) {
  return best_rate([=] {
    double result = 0, operations = 2 * loop(2'000'000, result);
    benchmark::DoNotOptimize(result);
    return operations;
  });
}

/// Random codes that are small finite numbers, scales of 1.
struct Weights {
  std::vector<std::byte> codes;
  std::vector<float> scales, levels = std::vector<float>(16, 0.5f);
  std::vector<uint8_t> zero_points;
  PackedMatrix matrix;

  Weights(CodeType type, size_t columns, size_t group_size, size_t bytes) {
    matrix.code_type = type, matrix.columns = columns, matrix.group_size = group_size ? group_size : columns;
    matrix.scale_type = group_size ? ScaleType::f32 : ScaleType::none;
    matrix.rows = std::max<size_t>(bytes / (columns * matrix.code_bits() / 8) / 128, 1) * 128;
    codes.resize(matrix.panels() * matrix.panel_bytes() + 64);
    std::mt19937_64 random(1);
    for (size_t i = 0; i + 8 <= codes.size(); i += 8) *reinterpret_cast<uint64_t*>(&codes[i]) = random() & 0x3f3f3f3f3f3f3f3f;
    scales.assign(matrix.panels() * matrix.groups() * kPanelRows, 1.0f);
    zero_points.assign(scales.size(), 8);
    matrix.codes = codes.data() + (64 - reinterpret_cast<uintptr_t>(codes.data()) % 64) % 64;
    matrix.scales = reinterpret_cast<const std::byte*>(scales.data());
    if (group_size) matrix.zero_points = zero_points.data();
    matrix.levels = levels.data();
  }
};

void count(benchmark::State& state, const Weights& w, size_t slice, size_t rows, double peak) {
  const double weights = static_cast<double>(state.iterations()) * static_cast<double>(slice * w.matrix.panel_bytes());
  const double flop = static_cast<double>(state.iterations()) * static_cast<double>(2 * rows * slice * kPanelRows * w.matrix.columns);
  state.counters["weights"] = benchmark::Counter(weights, benchmark::Counter::kIsRate);
  state.counters["of_read"] = benchmark::Counter(weights / read_limit(), benchmark::Counter::kIsRate);
  state.counters["flop"] = benchmark::Counter(flop, benchmark::Counter::kIsRate);
  state.counters["of_peak"] = benchmark::Counter(flop / peak, benchmark::Counter::kIsRate);
}

/// `slice` panels after the other, over and over.
template <class Gemm, class T>
void run(benchmark::State& state, const Gemm& gemm, const Weights& w, const std::vector<T>& x, size_t rows, size_t slice, double peak) {
  std::vector<float> out(rows * w.matrix.rows);
  size_t panel = 0;
  for (auto _ : state) {
    gemm.multiply(w.matrix, x.data(), w.matrix.columns, {out.data(), w.matrix.rows}, {panel, panel + slice}, {0, rows});
    panel = panel + 2 * slice <= w.matrix.panels() ? panel + slice : 0;
    benchmark::ClobberMemory();
  }
  count(state, w, slice, rows, peak);
}

void multiply_f32(benchmark::State& state, Isa isa, CodeType type, size_t columns, size_t group, size_t bytes, size_t slice, size_t rows) {
  const Weights w(type, columns, group, bytes);
  const std::vector<float> x(rows * columns, 0.5f);
  run(state, float_gemm(type, isa), w, x, rows, slice, limit_of(peak_loops(to_string(isa)).f32));
}

#if defined(__x86_64__)
void multiply_bf16(benchmark::State& state, size_t columns, size_t bytes, size_t slice, size_t rows) {
  const Weights w(CodeType::bf16, columns, 0, bytes);
  const std::vector<uint16_t> x(rows * columns, 0x3f00);
  run(state, bf16_gemm(Isa::avx512bf16), w, x, rows, slice, limit_of(peak_loops("avx512bf16").bf16));
}
#endif

size_t group_of(CodeType type) { return type == CodeType::f8e4m3 ? 2048 : type >= CodeType::f16 ? 0 : 64; }

void add_f32(Isa isa, CodeType type) {
  const std::string name = "f32/" + std::string(to_string(isa)) + "/" + kTypeNames[static_cast<size_t>(type)];
  const size_t group = group_of(type);
  for (size_t rows : {1, 2, 4}) {
    const std::string tail = "/rows:" + std::to_string(rows);
    benchmark::RegisterBenchmark((name + "/memory" + tail).c_str(), multiply_f32, isa, type, 2048, group, kMemory, 64, rows);
    benchmark::RegisterBenchmark((name + "/cache" + tail).c_str(), multiply_f32, isa, type, 2048, group, kCache, 4, rows);
  }
  for (size_t rows : {5, 8, 12, 24, 96, 512}) {
    const size_t bytes = 2048 * 2048 * (type == CodeType::f32 ? 4 : 2);
    const std::string tail = "/2048x2048/rows:" + std::to_string(rows);
    benchmark::RegisterBenchmark((name + tail).c_str(), multiply_f32, isa, type, 2048, group, bytes, 128, rows);
  }
}

#if defined(__x86_64__)
void add_bf16() {
  for (size_t rows : {1, 2, 4, 8, 12, 24, 96, 512}) {
    const std::string tail = "/rows:" + std::to_string(rows);
    benchmark::RegisterBenchmark(("bf16/memory" + tail).c_str(), multiply_bf16, 2048, kMemory, 64, rows);
    benchmark::RegisterBenchmark(("bf16/2048x2048" + tail).c_str(), multiply_bf16, 2048, 2048 * 2048 * 2, 128, rows);
  }
}
#endif

const bool kAdded = [] {
  for (Isa isa : available_isas()) {
    if (isa == Isa::avx2 || isa == Isa::avx512vnni)
      for (CodeType type : {CodeType::u4, CodeType::u8, CodeType::level4, CodeType::f8e4m3, CodeType::f16, CodeType::bf16, CodeType::f32})
        add_f32(isa, type);
#if defined(__x86_64__)
    if (isa == Isa::avx512bf16) add_bf16();
#endif
  }
  return true;
}();

}  // namespace
}  // namespace nibble::cpu
