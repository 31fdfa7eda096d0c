#include "device/cpu/kernels/row_ops.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/peak_loops.hpp"

// One thread, rows that stay in the cache. `values` is the rate of results, `bytes` that of bytes read and written, `of_read` its share of
// what a loop that only adds up as many bytes of the same cache reads.

namespace nibble::cpu {
namespace {

/// Buffers of one operation: inputs a, b, c and the result, and the same as 16-bit codes.
struct Rows {
  std::vector<float> a, b, c, out;
  std::vector<uint16_t> codes;

  explicit Rows(size_t count) : a(count), b(count), c(count), out(count), codes(count) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 2);
    for (auto* row : {&a, &b, &c})
      for (float& x : *row) x = normal(random);
  }
  size_t count() const { return a.size(); }
};

struct Operation {
  std::string name;
  double bytes_per_value;
  std::function<void(const RowOps&, Rows&)> run;
};

std::vector<Operation> operations() {
  auto activation = [](std::string name, Activation f) {
    return Operation{std::move(name), 8, [f](const RowOps& ops, Rows& r) { ops.activate(f, r.a.data(), r.count(), r.out.data()); }};
  };
  auto gated = [](std::string name, Activation f) {
    return Operation{std::move(name), 12, [f](auto& ops, Rows& r) { ops.gated(f, r.a.data(), r.b.data(), r.count(), r.out.data()); }};
  };
  return {
      {"rms_norm", 12, [](auto& ops, Rows& r) { ops.rms_norm(r.a.data(), r.b.data(), 1e-5f, r.count(), r.out.data()); }},
      {"layer_norm", 16, [](auto& ops, Rows& r) { ops.layer_norm(r.a.data(), r.b.data(), r.c.data(), 1e-5f, r.count(), r.out.data()); }},
      {"softmax", 8, [](auto& ops, Rows& r) { ops.softmax(r.a.data(), r.count(), r.out.data()); }},
      activation("exp", Activation::exp),
      activation("tanh", Activation::tanh),
      activation("gelu_erf", Activation::gelu_erf),
      gated("gated_silu", Activation::silu),
      gated("gated_gelu_tanh", Activation::gelu_tanh),
      {"add", 12, [](auto& ops, Rows& r) { ops.add(r.a.data(), r.b.data(), r.count(), r.out.data()); }},
      {"accumulate", 12, [](auto& ops, Rows& r) { ops.accumulate(r.a.data(), 1e-9f, r.count(), r.out.data()); }},
      {"rotate_halves", 12, [](auto& ops, Rows& r) { ops.rotate_halves(r.a.data(), r.b.data(), r.c.data(), r.count(), r.out.data()); }},
      {"rotate_pairs", 12, [](auto& ops, Rows& r) { ops.rotate_pairs(r.a.data(), r.b.data(), r.c.data(), r.count(), r.out.data()); }},
      {"f32_to_f16", 6, [](auto& ops, Rows& r) { ops.f32_to_f16(r.a.data(), r.count(), r.codes.data()); }},
      {"f16_to_f32", 6, [](auto& ops, Rows& r) { ops.f16_to_f32(r.codes.data(), r.count(), r.out.data()); }},
      {"f32_to_bf16", 6, [](auto& ops, Rows& r) { ops.f32_to_bf16(r.a.data(), r.count(), r.codes.data()); }},
      {"bf16_to_f32", 6, [](auto& ops, Rows& r) { ops.bf16_to_f32(r.codes.data(), r.count(), r.out.data()); }},
  };
}

/// Bytes per second that sum_floats reads from a row of this length, again and again: the best of a few rounds.
double read_limit(size_t count) {
  constexpr int kRepeats = 2000;
  const std::vector<float> row(count, 1.0f);
  double best = 0;
  for (int round = 0; round < 10; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRepeats; ++i) benchmark::DoNotOptimize(sum_floats(row.data(), count));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, kRepeats * static_cast<double>(count * sizeof(float)) / seconds);
  }
  return best;
}

void run(benchmark::State& state, const Operation& operation, Isa isa, size_t count) {
  const RowOps& ops = row_ops(isa);
  Rows rows(count);
  for (auto _ : state) {
    operation.run(ops, rows);
    benchmark::ClobberMemory();
  }
  const double values = static_cast<double>(state.iterations()) * static_cast<double>(count), bytes = values * operation.bytes_per_value;
  state.counters["values"] = benchmark::Counter(values, benchmark::Counter::kIsRate);
  state.counters["bytes"] = benchmark::Counter(bytes, benchmark::Counter::kIsRate);
  state.counters["of_read"] = benchmark::Counter(bytes / read_limit(count), benchmark::Counter::kIsRate);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const Operation& operation : operations())
    for (Isa isa : available_isas())
      benchmark::RegisterBenchmark((operation.name + "/" + std::string(to_string(isa))).c_str(), run, operation, isa, size_t{2048});
  return true;
}();

}  // namespace
}  // namespace nibble::cpu
