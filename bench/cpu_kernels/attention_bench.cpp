#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/thread_pool.hpp"
#include "device/cpu/kernels/attention.hpp"
#include "nibble/context.hpp"
#include "nibble/system.hpp"

// One head of keys with its query heads, on one thread: prompts as tiles of the engine's size, decoding over blocks that were not read
// lately.

namespace {

using namespace nibble;
using namespace nibble::cpu;

struct Shape {
  std::string name;
  size_t heads, key_heads, dim;
};
const std::vector<Shape> kShapes{{"32/4x64", 32, 4, 64}, {"32/8x128", 32, 8, 128}};
constexpr size_t kTileRows = 240;
/// More than the caches hold.
constexpr size_t kColdBytes = size_t{512} << 20;
/// One context, which the L2 cache holds.
constexpr size_t kWarmBytes = 1;

const MachineLimits& limits() {
  static const MachineLimits found = [] {
    ContextOptions options;
    options.threads = 1;
    Context context(options);
    return measure_machine_limits(context);
  }();
  return found;
}

std::vector<float> random_floats(size_t count) {
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> uniform(-2, 2);
  std::vector<float> x(count);
  for (float& v : x) v = uniform(random);
  return x;
}

struct Aligned {
  explicit Aligned(size_t bytes) : memory(std::make_unique<std::byte[]>(bytes + 64)) {}
  std::byte* data() const { return memory.get() + (64 - reinterpret_cast<uintptr_t>(memory.get()) % 64) % 64; }
  std::unique_ptr<std::byte[]> memory;
};

/// Blocks of one head, one behind the other, and everything a task needs.
struct Bed {
  Bed(const Shape& shape, KvPrecision precision, size_t block_count, size_t rows)
      : layout(kv_layout(precision, shape.dim, shape.dim)),
        memory(block_count * layout.bytes),
        scratch(attention_scratch_bytes(layout, rows)),
        queries(random_floats(rows * shape.dim)),
        results(rows * (layout.value_lanes + 2)) {
    auto numbers = random_floats(shape.dim * 64);
    for (size_t t = 0; t < kKvBlock; ++t) kv_write(layout, memory.data(), t, &numbers[t * shape.dim], &numbers[(t + 32) * shape.dim]);
    for (size_t b = 0; b < block_count; ++b) {
      blocks.push_back(memory.data() + b * layout.bytes);
      if (b > 0) std::memcpy(memory.data() + b * layout.bytes, memory.data(), layout.bytes);
    }
    task.layout = &layout;
    task.blocks = blocks.data();
    task.heads = shape.heads / shape.key_heads;
    task.query_stride = task.heads * shape.dim;
    task.queries = queries.data();
    task.scale = 1 / std::sqrt(static_cast<float>(shape.dim));
    task.values = results.data();
    task.maxima = results.data() + rows * layout.value_lanes;
    task.sums = task.maxima + rows;
    task.scratch = scratch.data();
  }
  KvLayout layout;
  Aligned memory, scratch;
  std::vector<float> queries, results;
  std::vector<const std::byte*> blocks;
  AttentionTask task;
};

void prefill(benchmark::State& state, Isa isa, bool bf16, KvPrecision precision, const Shape& shape, size_t length) {
  Bed bed(shape, precision, length / kKvBlock, kTileRows);
  const AttentionKernels& kernels = attention_kernels(isa, bf16);
  double operations = 0;
  for (auto _ : state)
    for (size_t token = 0, tile = kTileRows / bed.task.heads; token < length; token += tile) {
      bed.task.tokens = std::min(tile, length - token);
      bed.task.position = token;
      bed.task.key_end = token + bed.task.tokens;
      kernels.many(bed.task);
      // Products that causality asks for, not those that the tiles compute.
      operations += 4.0 * static_cast<double>(shape.dim * bed.task.heads * bed.task.tokens) *
                    (static_cast<double>(token) + static_cast<double>(bed.task.tokens + 1) / 2);
    }
  state.counters["GFLOP/s"] = benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_fma_%"] = benchmark::Counter(100 * operations * 1e-9 / limits().f32_gflop_s, benchmark::Counter::kIsRate);
}

void decode(benchmark::State& state, Isa isa, KvPrecision precision, const Shape& shape, size_t length, size_t working_set) {
  size_t block_bytes = kv_layout(precision, shape.dim, shape.dim).bytes, context = std::max<size_t>(1, length / kKvBlock);
  size_t contexts = std::max<size_t>(1, working_set / block_bytes / context);
  Bed bed(shape, precision, contexts * context, kFewRows);
  const AttentionKernels& kernels = attention_kernels(isa, false);
  bed.task.tokens = 1;
  bed.task.position = std::max<size_t>(length, 1) - 1;
  size_t at = 0;
  for (auto _ : state) {
    bed.task.blocks = bed.blocks.data() + at * context;
    for (size_t begin = 0; begin < context * kKvBlock; begin += 1024) {
      bed.task.key_begin = begin;
      bed.task.key_end = std::min(begin + 1024, bed.task.position + 1);
      kernels.few(bed.task);
    }
    at = (at + 1) % contexts;
  }
  double bytes = static_cast<double>(state.iterations() * context * block_bytes);
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsRate);
  state.counters["of_read_%"] = benchmark::Counter(100 * bytes * 1e-9 / limits().read_gb_s, benchmark::Counter::kIsRate);
}

constexpr const char* kPrecisionNames[]{"f32", "f16", "bf16", "u8"};

const bool kRegistered = [] {
  for (Isa isa : available_isas()) {
    if (isa == Isa::scalar) continue;
    for (const Shape& shape : kShapes) {
      std::string suffix = "/" + shape.name + "/";
      for (KvPrecision precision : {KvPrecision::f16, KvPrecision::u8}) {
        std::string kind = std::string(to_string(isa)) + "/" + kPrecisionNames[static_cast<int>(precision)] + suffix;
        for (size_t length : {512, 4096})
          for (bool bf16 : {false, true})
            if (bf16 == (isa == Isa::avx512bf16))
              benchmark::RegisterBenchmark(("attention_prefill/" + kind + std::to_string(length)).c_str(), [=](benchmark::State& state) {
                prefill(state, isa, bf16, precision, shape, length);
              })->Unit(benchmark::kMillisecond);
        for (size_t length : {32, 512, 4096, 32768})
          if (isa != Isa::avx512bf16)
            benchmark::RegisterBenchmark(("attention_decode/" + kind + std::to_string(length)).c_str(), [=](benchmark::State& state) {
              decode(state, isa, precision, shape, length, kColdBytes);
            })->Unit(benchmark::kMicrosecond);
        if (isa != Isa::avx512bf16)
          benchmark::RegisterBenchmark(("attention_decode_cached/" + kind + "4096").c_str(), [=](benchmark::State& state) {
            decode(state, isa, precision, shape, 4096, kWarmBytes);
          })->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}();

}  // namespace
