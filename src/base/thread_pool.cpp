#include "base/thread_pool.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>

namespace nibble {

namespace {

int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

struct ThreadPool::Loop {
  size_t count = 0;
  size_t grain = 1;
  const std::function<void(size_t, size_t)>* body = nullptr;
  std::atomic<size_t> next{0};
  int active = 0;  // workers inside run(), guarded by mutex_
  std::exception_ptr error;
  std::mutex error_mutex;
};

ThreadPool::ThreadPool(int threads) {
  int total = threads > 0 ? threads : usable_cores();
  for (int i = 1; i < total; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run(Loop& loop) {
  for (;;) {
    size_t begin = loop.next.fetch_add(loop.grain);
    if (begin >= loop.count) return;
    try {
      (*loop.body)(begin, std::min(begin + loop.grain, loop.count));
    } catch (...) {
      std::lock_guard lock(loop.error_mutex);
      if (!loop.error) loop.error = std::current_exception();
      loop.next.store(loop.count);
    }
  }
}

void ThreadPool::work() {
  size_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || (loop_ && generation_ != seen); });
    if (stop_) return;
    seen = generation_;
    Loop& loop = *loop_;
    ++loop.active;
    lock.unlock();
    run(loop);
    lock.lock();
    if (--loop.active == 0) done_.notify_all();
  }
}

void ThreadPool::parallel_for(size_t count, size_t grain, const std::function<void(size_t, size_t)>& body) {
  if (count == 0) return;
  grain = std::max<size_t>(grain, 1);
  if (workers_.empty() || count <= grain) {
    for (size_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
    return;
  }
  std::lock_guard caller(callers_);
  Loop loop;
  loop.count = count;
  loop.grain = grain;
  loop.body = &body;
  {
    std::lock_guard lock(mutex_);
    loop_ = &loop;
    ++generation_;
  }
  wake_.notify_all();
  run(loop);
  std::unique_lock lock(mutex_);
  loop_ = nullptr;
  done_.wait(lock, [&] { return loop.active == 0; });
  lock.unlock();
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace nibble
