#include "base/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/fail.hpp"
#include "base/usable_cores.hpp"

namespace nibble {

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kOpen = 1u << 31;
// Between the loops of one token pass microseconds, and waking a sleeping thread costs 20 to 50: worth waiting about as long again.
constexpr auto kSpinTime = std::chrono::microseconds(100);
// Another thread that needs this core, one of another pool or process, gets it after this long; no gap within a token is longer.
constexpr auto kYieldAfter = std::chrono::microseconds(20);
constexpr int kPausesPerLook = 16;  // a look at the clock costs about 25 ns, a pause 10 to 40

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits for a short time without sleeping; returns whether `ready()`.
template <class Ready>
bool spin_until(Ready ready) {
  auto start = Clock::now();
  for (;;) {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (ready()) return true;
      pause();
    }
    auto waited = Clock::now() - start;
    if (waited > kSpinTime) return ready();
    if (waited > kYieldAfter) std::this_thread::yield();
  }
}

/// The cores of the affinity mask, lowest first; none where they cannot be known.
std::vector<int> allowed_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

/// Worker i goes to core i + 1: the first core is left to the caller.
void pin(std::vector<std::thread>& workers) {
  std::vector<int> cores = allowed_cores();
  if (cores.size() <= workers.size()) return;
  for (size_t i = 0; i < workers.size(); ++i) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cores[i + 1], &set);
    pthread_setaffinity_np(workers[i].native_handle(), sizeof(set), &set);  // a refusal costs speed only
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads, CpuPinning pinning) {
  int cores = threads == 1 ? 1 : usable_cores();  // which reads files; pools of one thread are made for small jobs
  int total = threads > 0 ? threads : cores;
  may_spin_ = total <= cores;
  start_workers(total - 1);
  if (pinning == CpuPinning::on) pin(workers_);
}

ThreadPool::~ThreadPool() { stop_workers(); }

void ThreadPool::start_workers(int count) {
  try {
    for (int i = 0; i < count; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    size_t started = workers_.size();
    stop_workers();
    fail(ErrorKind::exhausted, "cannot start {} threads, only {}: {}", count + 1, started + 1, error.what());
  }
}

void ThreadPool::stop_workers() {
  stop_ = true;
  ++loops_started_;
  loops_started_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::work() {
  for (uint32_t seen = 0;;) {
    auto changed = [&] { return loops_started_.load(std::memory_order_acquire) != seen; };
    if (!may_spin_ || !spin_until(changed)) loops_started_.wait(seen);
    seen = loops_started_;
    if (stop_) return;
    if (!join_loop()) continue;
    run_chunks();
    leave_loop();
  }
}

/// False when the loop is over: a worker that wakes late must not look at what belongs to the next caller.
bool ThreadPool::join_loop() {
  uint32_t inside = inside_.load(std::memory_order_relaxed);
  while (inside & kOpen)
    if (inside_.compare_exchange_weak(inside, inside + 1, std::memory_order_acq_rel, std::memory_order_relaxed)) return true;
  return false;
}

void ThreadPool::leave_loop() {
  if (--inside_ == 0) inside_.notify_one();
}

void ThreadPool::open_loop() {
  next_.store(0, std::memory_order_relaxed);
  inside_.store(kOpen, std::memory_order_release);
  ++loops_started_;
  loops_started_.notify_all();
}

/// Returns when no worker is in the loop and none can join it any more.
void ThreadPool::close_loop() {
  if (inside_.fetch_and(~kOpen) == kOpen) return;
  auto empty = [&] { return inside_.load(std::memory_order_acquire) == 0; };
  if (may_spin_ && spin_until(empty)) return;
  for (uint32_t inside; (inside = inside_.load()) != 0;) inside_.wait(inside);
}

void ThreadPool::run_chunks() {
  const size_t count = loop_.count, grain = loop_.grain;
  for (size_t begin; (begin = next_.fetch_add(grain, std::memory_order_relaxed)) < count;) {
    try {
      (*loop_.body)(begin, std::min(begin + grain, count));
    } catch (...) {
      std::lock_guard lock(error_mutex_);
      if (!loop_.error) loop_.error = std::current_exception();
      next_.store(count, std::memory_order_relaxed);
    }
  }
}

void ThreadPool::parallel_for(size_t count, size_t grain, const std::function<void(size_t, size_t)>& body) {
  grain = std::max<size_t>(grain, 1);
  if (workers_.empty() || count <= grain) {
    for (size_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
    return;
  }
  std::unique_lock caller(callers_);
  loop_ = {count, grain, &body, nullptr};
  open_loop();
  run_chunks();
  close_loop();
  std::exception_ptr error = std::exchange(loop_.error, nullptr);
  caller.unlock();
  if (error) std::rethrow_exception(error);
}

}  // namespace nibble
