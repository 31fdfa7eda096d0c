#include "device/cpu/kernels/quantized_gemm.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "base/peak_loops.hpp"

// One thread. The weights of an operation follow those of the one before in 96 MB of memory ("memory") or stay the same ("cache").
// `weights` is the rate at which they are read, `of_read` its share of what a loop reads that only adds up memory; `mac` the rate of
// multiply-adds, `of_dot` its share of what a loop of nothing but such instructions does.

namespace nibble::cpu {
namespace {

constexpr size_t kMemory = size_t{96} << 20;

struct Case {
  Isa isa;
  CodeType type;
  bool asymmetric, from_memory;
  size_t columns, weight_rows, group_size, rows;
};

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

double dot_limit(Isa isa, CodeType type) {
  const PeakLoops loops = peak_loops(to_string(isa));
  return best_rate([&] {
    double result = 0, operations = (type == CodeType::u4 ? loops.int4 : loops.int8)(1'000'000, result);
    benchmark::DoNotOptimize(result);
    return operations;
  });
}

/// Random codes, and scales and zero points that are plausible numbers.
struct Weights {
  std::vector<std::byte> codes;
  std::vector<float> scales;
  std::vector<uint8_t> zero_points;
  PackedMatrix matrix;

  explicit Weights(const Case& c) {
    matrix.code_type = c.type, matrix.scale_type = ScaleType::f16, matrix.columns = c.columns, matrix.group_size = c.group_size;
    const size_t slice = c.weight_rows * c.columns * matrix.code_bits() / 8;
    matrix.rows = c.from_memory ? std::max<size_t>(kMemory / slice, 1) * c.weight_rows : c.weight_rows;
    codes.resize(matrix.panels() * matrix.panel_bytes() + 64);
    std::mt19937_64 random(1);
    for (size_t i = 0; i + 8 <= codes.size(); i += 8) *reinterpret_cast<uint64_t*>(&codes[i]) = random();
    scales.assign(matrix.panels() * matrix.groups() * kPanelRows, 0.0f);
    zero_points.assign(scales.size(), 8);
    matrix.codes = codes.data() + (64 - reinterpret_cast<uintptr_t>(codes.data()) % 64) % 64;
    matrix.scales = reinterpret_cast<const std::byte*>(scales.data());
    matrix.zero_points = c.asymmetric ? zero_points.data() : nullptr;
    matrix.zero_point = 8;
  }
};

struct Activations {
  std::vector<int8_t> codes;
  std::vector<ChunkTerms> terms;
  QuantizedRows rows;

  Activations(const QuantizedGemm& gemm, const PackedMatrix& w, size_t count, size_t columns) {
    rows.rows = count, rows.stride = (columns + 63) / 64 * 64, rows.chunks = columns / kChunk;
    codes.resize(count * rows.stride), terms.resize(count * rows.chunks);
    std::mt19937 random(2);
    std::vector<float> x(columns);
    for (size_t m = 0; m < count; ++m) {
      for (float& v : x) v = static_cast<float>(random() % 1000) / 500.0f - 1;
      gemm.quantize(x.data(), columns, kChunk, &codes[m * rows.stride], &terms[m * rows.chunks]);
    }
    fold_zero_points(w, terms.data(), count);
    rows.codes = codes.data(), rows.terms = terms.data();
  }
};

void multiply(benchmark::State& state, Case c) {
  const QuantizedGemm& gemm = quantized_gemm(c.type, c.isa);
  const Weights w(c);
  const Activations x(gemm, w.matrix, c.rows, c.columns);
  std::vector<float> out(c.rows * w.matrix.rows);
  const size_t slice = c.weight_rows / kPanelRows, slices = w.matrix.panels() / slice;
  size_t next = 0;
  for (auto _ : state) {
    gemm.multiply(w.matrix, x.rows, {out.data(), w.matrix.rows}, {next * slice, (next + 1) * slice}, {0, c.rows});
    next = (next + 1) % slices;
  }
  const double weights = static_cast<double>(state.iterations()) * static_cast<double>(slice * w.matrix.panel_bytes());
  const double macs = static_cast<double>(state.iterations()) * static_cast<double>(c.rows * c.weight_rows * c.columns);
  state.counters["weights"] = benchmark::Counter(weights, benchmark::Counter::kIsRate);
  state.counters["of_read"] = benchmark::Counter(weights / read_limit(), benchmark::Counter::kIsRate);
  state.counters["mac"] = benchmark::Counter(macs, benchmark::Counter::kIsRate);
  state.counters["of_dot"] = benchmark::Counter(macs / dot_limit(c.isa, c.type), benchmark::Counter::kIsRate);
}

void quantize(benchmark::State& state, Isa isa, size_t group) {
  const QuantizedGemm& gemm = quantized_gemm(CodeType::u4, isa);
  std::vector<float> values(2048, 0.5f);
  std::vector<int8_t> codes(2048);
  std::vector<ChunkTerms> terms(64);
  for (auto _ : state) {
    gemm.quantize(values.data(), values.size(), group, codes.data(), terms.data());
    benchmark::ClobberMemory();
  }
  state.counters["values"] = benchmark::Counter(static_cast<double>(state.iterations() * 2048), benchmark::Counter::kIsRate);
}

std::string name(const Case& c) {
  return std::string(to_string(c.isa)) + (c.type == CodeType::u4 ? "/u4" : "/u8") + (c.asymmetric ? "_asym" : "_sym") +
         "/k:" + std::to_string(c.columns) + "/n:" + std::to_string(c.weight_rows) + "/group:" + std::to_string(c.group_size) +
         (c.from_memory ? "/memory" : "/cache") + "/rows:" + std::to_string(c.rows);
}

void add(const Case& c) { benchmark::RegisterBenchmark(("multiply/" + name(c)).c_str(), multiply, c); }

/// The products of a decoder of 1.1e9 weights: 2048 wide, with 5632 in its MLP.
void add_all(Isa isa) {
  for (size_t rows : {1, 2, 4, 8, 12, 16, 24, 32, 96, 512}) {
    for (bool memory : {false, true}) {
      add({isa, CodeType::u4, false, memory, 2048, 2048, 128, rows});
      add({isa, CodeType::u8, true, memory, 2048, 2048, 2048, rows});
    }
    add({isa, CodeType::u4, false, true, 5632, 2048, 128, rows});
    add({isa, CodeType::u8, true, true, 5632, 2048, 5632, rows});
    add({isa, CodeType::u4, true, true, 2048, 2048, 128, rows});
    add({isa, CodeType::u4, true, true, 2048, 2048, 32, rows});
  }
  for (size_t group : {32, 128, 2048}) {
    const std::string label = "quantize/" + std::string(to_string(isa)) + "/group:" + std::to_string(group);
    benchmark::RegisterBenchmark(label.c_str(), quantize, isa, group);
  }
}

const bool kAdded = [] {
  for (Isa isa : available_isas())
    if (isa != Isa::scalar && isa != Isa::avx512bf16) add_all(isa);
  return true;
}();

}  // namespace
}  // namespace nibble::cpu
