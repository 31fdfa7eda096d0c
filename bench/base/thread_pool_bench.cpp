#include "base/thread_pool.hpp"

#include <benchmark/benchmark.h>

#include <chrono>

#include "base/usable_cores.hpp"

namespace nibble {
namespace {

/// Loops in quick succession, as within a token: what one costs besides its work.
void empty_loop_hot(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  auto chunks = static_cast<size_t>(pool.size());
  for (auto _ : state) pool.parallel_for(chunks, 1, [](size_t begin, size_t) { benchmark::DoNotOptimize(begin); });
}

/// Every thread has to come: a chunk ends only when all have started. What it takes until the whole pool works.
void all_threads_hot(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  auto chunks = static_cast<size_t>(pool.size());
  for (auto _ : state) {
    std::atomic<size_t> arrived{0};
    pool.parallel_for(chunks, 1, [&](size_t, size_t) {
      ++arrived;
      while (arrived.load(std::memory_order_relaxed) < chunks) continue;
    });
  }
}

/// The same after a pause of some microseconds, in which the workers spin or fall asleep.
void all_threads_after_idle(benchmark::State& state) {
  ThreadPool pool(usable_cores());
  auto chunks = static_cast<size_t>(pool.size());
  for (auto _ : state) {
    std::this_thread::sleep_for(std::chrono::microseconds(state.range(0)));
    std::atomic<size_t> arrived{0};
    auto start = std::chrono::steady_clock::now();
    pool.parallel_for(chunks, 1, [&](size_t, size_t) {
      ++arrived;
      while (arrived.load(std::memory_order_relaxed) < chunks) std::this_thread::yield();
    });
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
}

BENCHMARK(empty_loop_hot)->ArgName("threads")->Arg(1)->Arg(2)->Arg(3)->Arg(8)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(all_threads_hot)->ArgName("threads")->DenseRange(2, std::max(2, usable_cores()), 1)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(all_threads_after_idle)->ArgName("idle_us")->Arg(10)->Arg(300)->Arg(10000)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace nibble
