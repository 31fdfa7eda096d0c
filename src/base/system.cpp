#include "nibble/system.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/peak_loops.hpp"
#include "base/thread_pool.hpp"

namespace nibble {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Runs `work(thread)` on every thread at once, several times; gives the best total rate of what it returns.
double best_rate(ThreadPool& threads, const std::function<double(size_t)>& work) {
  constexpr int kRounds = 4;
  auto count = static_cast<size_t>(threads.size());
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<double> done{0};
    auto start = Clock::now();
    threads.parallel_for(count, 1, [&](size_t begin, size_t) { done += work(begin); });
    best = std::max(best, done / seconds_since(start));
  }
  return best;
}

double measure_read(ThreadPool& threads) {
  constexpr size_t kWords = size_t{24} << 20;  // 96 MB for each thread: beyond any last-level cache share
  std::vector<std::vector<float>> buffers(static_cast<size_t>(threads.size()));
  threads.parallel_for(buffers.size(), 1, [&](size_t i, size_t) { buffers[i].assign(kWords, 1.0f); });
  std::atomic<float> sink{0};
  return best_rate(threads, [&](size_t i) {
    sink = sum_floats(buffers[i].data(), kWords);
    return static_cast<double>(kWords * sizeof(float));
  });
}

}  // namespace

MachineLimits measure_machine_limits(Context& context) {
  constexpr size_t kIterations = 4'000'000;
  std::atomic<double> sink{0};
  auto rate = [&](double (*loop)(size_t, double&)) {
    return best_rate(context.threads(), [&](size_t) {
      double result = 0, operations = loop(kIterations, result);
      sink = result;
      return operations;
    });
  };
  return {measure_read(context.threads()) / 1e9, rate(int8_multiply_accumulate) / 1e9, rate(f32_multiply_add) / 1e9};
}

std::string instruction_set() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")) return "avx512vnni";
  if (__builtin_cpu_supports("avxvnni")) return "avx2vnni";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
#endif
  return "scalar";
}

namespace {

// A signal handler has no other way to reach anything.
volatile std::sig_atomic_t interrupt_flag = 0;

void on_interrupt(int) { interrupt_flag = 1; }

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: a pending read returns
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupt_pending() { return interrupt_flag != 0; }

bool take_interrupt() {
  bool was_set = interrupt_flag != 0;
  interrupt_flag = 0;
  return was_set;
}

bool is_terminal(StandardStream stream) { return ::isatty(static_cast<int>(stream)) == 1; }

uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  return 0;
}

}  // namespace nibble
