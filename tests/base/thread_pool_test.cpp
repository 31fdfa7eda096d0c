#include "base/thread_pool.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>

#include "base/usable_cores.hpp"

namespace nibble {
namespace {

using namespace std::chrono_literals;

class ThreadPoolTest : public testing::TestWithParam<int> {
 protected:
  int threads() const { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8), [](const auto& test) { return std::to_string(test.param); });

void sleep_long_enough_for_workers_to_sleep() { std::this_thread::sleep_for(5ms); }

double process_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// How often each index was visited. Not atomic: ranges that overlap are a data race that ThreadSanitizer finds.
std::vector<int> visits(ThreadPool& pool, size_t count, size_t grain) {
  std::vector<int> visited(count);
  pool.parallel_for(count, grain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) ++visited[i];
  });
  return visited;
}

TEST_P(ThreadPoolTest, HasAsManyThreadsAsAskedFor) { EXPECT_EQ(ThreadPool(threads()).size(), threads()); }

TEST_P(ThreadPoolTest, VisitsEachIndexOnce) {
  ThreadPool pool(threads());
  for (size_t count : {0, 1, 2, 7, 64, 1000})
    for (size_t grain : {0, 1, 3, 64, 5000}) EXPECT_EQ(visits(pool, count, grain), std::vector<int>(count, 1)) << count << ' ' << grain;
}

TEST_P(ThreadPoolTest, ChunksAreNoLargerThanTheGrain) {
  ThreadPool pool(threads());
  std::atomic<size_t> largest{0}, empty{0};
  pool.parallel_for(100, 7, [&](size_t begin, size_t end) {
    for (size_t seen = largest; seen < end - begin && !largest.compare_exchange_weak(seen, end - begin);) continue;
    if (begin == end) ++empty;
  });
  EXPECT_EQ(largest, 7u);
  EXPECT_EQ(empty, 0u);
}

TEST_P(ThreadPoolTest, WhatOneLoopWroteTheNextOneReads) {
  constexpr size_t kCount = 64;
  ThreadPool pool(threads());
  std::vector<uint64_t> values(kCount, 1), sums(kCount);
  for (int round = 0; round < 2000; ++round) {
    pool.parallel_for(kCount, 5, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) sums[i] = values[i] + values[(i + 13) % kCount];
    });
    pool.parallel_for(kCount, 3, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) values[i] = sums[i];
    });
  }
  EXPECT_EQ(values, std::vector<uint64_t>(kCount, values[0]));  // all alike: 2^2000, which wraps to 0
  EXPECT_EQ(values[0], 0u);
}

TEST_P(ThreadPoolTest, ManySmallLoopsLoseNothing) {
  ThreadPool pool(threads());
  std::atomic<uint64_t> sum{0};
  for (uint64_t round = 0; round < 20000; ++round)
    pool.parallel_for(4, 1, [&](size_t begin, size_t) { sum.fetch_add(begin + 1, std::memory_order_relaxed); });
  EXPECT_EQ(sum, 20000u * 10);
}

TEST_P(ThreadPoolTest, LoopsRunAfterTheWorkersFellAsleep) {
  ThreadPool pool(threads());
  for (int round = 0; round < 20; ++round) {
    sleep_long_enough_for_workers_to_sleep();
    EXPECT_EQ(visits(pool, 100, 1), std::vector<int>(100, 1));
  }
}

TEST_P(ThreadPoolTest, PausesOfAnyLengthBetweenLoopsAreSafe) {
  ThreadPool pool(threads());
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));  // around the moment at which workers go to sleep
    EXPECT_EQ(visits(pool, 16, 1), std::vector<int>(16, 1));
  }
}

TEST_P(ThreadPoolTest, TheCallerWaitsForASlowWorker) {
  ThreadPool pool(threads());
  std::atomic<int> done{0};
  pool.parallel_for(8, 1, [&](size_t begin, size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(begin % 3));
    ++done;
  });
  EXPECT_EQ(done, 8);
}

TEST_P(ThreadPoolTest, AnExceptionReachesTheCaller) {
  ThreadPool pool(threads());
  auto run = [&] {
    pool.parallel_for(100, 1, [](size_t begin, size_t) {
      if (begin == 50) throw std::runtime_error("fifty");
    });
  };
  EXPECT_THROW(run(), std::runtime_error);
}

TEST_P(ThreadPoolTest, OneOfManyExceptionsReachesTheCallerWhole) {
  ThreadPool pool(threads());
  for (int round = 0; round < 200; ++round) {
    try {
      pool.parallel_for(32, 1, [](size_t begin, size_t) {
        try {
          throw std::invalid_argument("inner " + std::to_string(begin));
        } catch (...) {
          std::throw_with_nested(std::runtime_error("outer " + std::to_string(begin)));
        }
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& outer) {
      std::string index = std::string(outer.what()).substr(6);
      try {
        std::rethrow_if_nested(outer);
      } catch (const std::invalid_argument& inner) {
        EXPECT_EQ(inner.what(), "inner " + index);
      }
    }
  }
}

TEST_P(ThreadPoolTest, AnExceptionSkipsWhatHasNotStarted) {
  ThreadPool pool(threads());
  std::atomic<int> started{0};
  auto run = [&] {
    pool.parallel_for(100000, 1, [&](size_t, size_t) {
      ++started;
      throw 1;
    });
  };
  EXPECT_THROW(run(), int);
  EXPECT_LE(started, threads());
}

TEST_P(ThreadPoolTest, ThePoolWorksAfterAnException) {
  ThreadPool pool(threads());
  EXPECT_THROW(pool.parallel_for(8, 1, [](size_t, size_t) { throw 1; }), int);
  EXPECT_EQ(visits(pool, 100, 1), std::vector<int>(100, 1));
}

TEST_P(ThreadPoolTest, SeveralCallersTakeTurns) {
  ThreadPool pool(threads());
  std::vector<std::thread> callers;
  std::vector<uint64_t> sums(4);
  for (uint64_t& sum : sums)
    callers.emplace_back([&pool, &sum] {
      for (int round = 0; round < 500; ++round) {
        auto visited = visits(pool, 20, 3);
        sum += static_cast<uint64_t>(std::accumulate(visited.begin(), visited.end(), 0));
      }
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(sums, std::vector<uint64_t>(4, 500 * 20));
}

TEST_P(ThreadPoolTest, CallersGetTheirOwnExceptions) {
  ThreadPool pool(threads());
  std::vector<std::thread> callers;
  std::vector<int> right(4);
  for (int id = 0; id < 4; ++id)
    callers.emplace_back([&pool, &right, id] {
      for (int round = 0; round < 100; ++round) try {
          pool.parallel_for(8, 1, [id](size_t, size_t) { throw id; });
        } catch (int thrown) {
          right[static_cast<size_t>(id)] += thrown == id;
        }
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(right, std::vector<int>(4, 100));
}

TEST_P(ThreadPoolTest, ManyPoolsWorkSideBySide) {
  std::vector<std::unique_ptr<ThreadPool>> pools;
  for (int i = 0; i < 6; ++i) pools.push_back(std::make_unique<ThreadPool>(threads()));
  std::vector<std::thread> callers;
  std::vector<int> right(pools.size());
  for (size_t i = 0; i < pools.size(); ++i)
    callers.emplace_back([&, i] {
      for (int round = 0; round < 200; ++round) right[i] += visits(*pools[i], 32, 1) == std::vector<int>(32, 1);
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(right, std::vector<int>(pools.size(), 200));
}

TEST_P(ThreadPoolTest, ALoopMayUseAnotherPool) {
  ThreadPool outer(threads());
  std::atomic<int> right{0};
  outer.parallel_for(8, 1, [&](size_t, size_t) {
    ThreadPool inner(2);
    if (visits(inner, 50, 1) == std::vector<int>(50, 1)) ++right;
  });
  EXPECT_EQ(right, 8);
}

TEST_P(ThreadPoolTest, MayBeDestroyedAtAnyMoment) {
  for (int round = 0; round < 50; ++round) {
    ThreadPool unused(threads());
    ThreadPool fresh(threads());
    EXPECT_EQ(visits(fresh, 10, 1), std::vector<int>(10, 1));
  }
}

TEST_P(ThreadPoolTest, MayBeDestroyedWhileAsleep) {
  ThreadPool pool(threads());
  EXPECT_EQ(visits(pool, 10, 1), std::vector<int>(10, 1));
  sleep_long_enough_for_workers_to_sleep();
}

TEST_P(ThreadPoolTest, AnIdlePoolUsesNoProcessor) {
  ThreadPool pool(threads());
  EXPECT_EQ(visits(pool, 10, 1), std::vector<int>(10, 1));
  sleep_long_enough_for_workers_to_sleep();
  double before = process_cpu_seconds();
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(process_cpu_seconds() - before, 0.02);  // a single thread that spun would have used 0.1
}

TEST(ThreadPool, TakesTheUsableCoresByDefault) { EXPECT_EQ(ThreadPool().size(), usable_cores()); }

/// The cores that each thread of the pool may run on, one set for each thread that took a chunk.
std::set<std::vector<int>> affinities(ThreadPool& pool) {
  std::mutex mutex;
  std::set<std::vector<int>> found;
  std::atomic<int> arrived{0};
  pool.parallel_for(static_cast<size_t>(pool.size()), 1, [&](size_t, size_t) {
    ++arrived;
    while (arrived < pool.size()) std::this_thread::yield();  // each thread has one chunk
    cpu_set_t set;
    sched_getaffinity(0, sizeof(set), &set);
    std::vector<int> cores;
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    std::lock_guard lock(mutex);
    found.insert(cores);
  });
  return found;
}

TEST(ThreadPool, PinningGivesEachWorkerACoreAndLeavesTheCallerAlone) {
  int cores = usable_cores();
  if (cores < 2) GTEST_SKIP() << "there is only one core";
  ThreadPool pool(cores, CpuPinning::on);
  size_t pinned = 0;
  auto found = affinities(pool);
  for (const auto& set : found) pinned += set.size() == 1;
  EXPECT_EQ(pinned, static_cast<size_t>(cores - 1));
  EXPECT_EQ(found.size(), static_cast<size_t>(cores));
}

TEST(ThreadPool, PinsNothingWithMoreThreadsThanCores) {
  ThreadPool pool(static_cast<int>(std::thread::hardware_concurrency()) + 1, CpuPinning::on);
  EXPECT_EQ(affinities(pool).size(), 1u);
}

TEST(ThreadPool, WithoutPinningAllThreadsRunWhereTheCallerMay) {
  ThreadPool pool(3);
  EXPECT_EQ(affinities(pool).size(), 1u);
}

}  // namespace
}  // namespace nibble
