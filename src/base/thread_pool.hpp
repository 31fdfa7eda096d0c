#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nibble {

/// A fixed set of threads that run one parallel loop at a time; the calling thread takes part.
/// parallel_for may be called from several threads (calls queue up) but not from inside a loop body.
class ThreadPool {
 public:
  /// `threads` counts the caller; 0 = one per core this process may use.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end) on disjoint ranges that cover [0, count), in chunks of at most `grain`; returns when all are done.
  /// The first exception of a body is rethrown here; ranges not yet started are then skipped.
  void parallel_for(size_t count, size_t grain, const std::function<void(size_t begin, size_t end)>& body);

 private:
  struct Loop;
  void work();
  void run(Loop& loop);

  std::vector<std::thread> workers_;
  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Loop* loop_ = nullptr;
  size_t generation_ = 0;
  bool stop_ = false;
};

}  // namespace nibble
