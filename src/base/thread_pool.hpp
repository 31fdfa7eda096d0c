#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nibble {

/// Whether each worker stays on one core. The calling thread is the program's and is never pinned.
enum class CpuPinning { off, on };

/// A fixed set of threads that run one parallel loop at a time; the calling thread takes part.
/// parallel_for may be called from several threads (calls queue up) but not from inside a loop body.
///
/// Threads that wait, for a loop or for its end, spin for a moment before they sleep, so that loops in quick succession start within
/// about a microsecond. With more threads than usable cores nobody spins: the waiting would take the time of those who work.
class ThreadPool {
 public:
  /// `threads` counts the caller; 0 = usable_cores(). Pinning takes the cores of the process's affinity mask in order, one for
  /// each worker; where there are fewer cores than threads it does nothing.
  explicit ThreadPool(int threads = 0, CpuPinning pinning = CpuPinning::off);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end) on disjoint ranges that cover [0, count), in chunks of at most `grain`; returns when all are done.
  /// The first exception of a body is rethrown here; ranges not yet started are then skipped. Allocates nothing.
  void parallel_for(size_t count, size_t grain, const std::function<void(size_t begin, size_t end)>& body);

 private:
  static constexpr size_t kCacheLine = 64;

  /// Written only while no worker is in the loop.
  struct Loop {
    size_t count = 0;
    size_t grain = 1;
    const std::function<void(size_t, size_t)>* body = nullptr;
    std::exception_ptr error;
  };

  void start_workers(int count);
  void stop_workers();
  void work();
  bool join_loop();
  void leave_loop();
  void open_loop();
  void close_loop();
  void run_chunks();

  std::vector<std::thread> workers_;
  bool may_spin_ = false;
  std::mutex callers_;
  std::mutex error_mutex_;
  std::atomic<bool> stop_{false};
  Loop loop_;
  alignas(kCacheLine) std::atomic<uint32_t> loops_started_{0};  // workers wait for it to change
  alignas(kCacheLine) std::atomic<uint32_t> inside_{0};         // workers in the loop, and kOpen while more may join
  alignas(kCacheLine) std::atomic<size_t> next_{0};             // first index that no thread has taken
};

}  // namespace nibble
