#include "base/machine_meter.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <vector>

namespace nibble {

namespace {

using Clock = std::chrono::steady_clock;

/// Runs `work(thread)` on every thread at once; gives the total of what it returns, per second.
double total_rate(ThreadPool& threads, const std::function<double(size_t)>& work) {
  std::atomic<double> done{0};
  auto start = Clock::now();
  threads.parallel_for(static_cast<size_t>(threads.size()), 1, [&](size_t begin, size_t) { done += work(begin); });
  return done / std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

double MachineMeter::read() const {
  constexpr size_t kWords = size_t{24} << 20;  // beyond any last-level cache share
  constexpr int kRounds = 3;
  std::vector<std::vector<float>> buffers(static_cast<size_t>(threads_.size()));
  threads_.parallel_for(buffers.size(), 1, [&](size_t i, size_t) { buffers[i].assign(kWords, 1.0f); });
  std::atomic<float> sink{0};
  double best = 0;
  for (int round = 0; round < kRounds; ++round)
    best = std::max(best, total_rate(threads_, [&](size_t i) {
                      sink = sum_floats(buffers[i].data(), kWords);
                      return static_cast<double>(kWords * sizeof(float));
                    }));
  return best;
}

double MachineMeter::rate(PeakLoop loop) const {
  constexpr size_t kIterations = 2'000'000;
  std::atomic<double> sink{0};
  return total_rate(threads_, [&](size_t) {
    double result = 0, operations = loop(kIterations, result);
    sink = result;
    return operations;
  });
}

}  // namespace nibble
