#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace nibble {

class ThreadPool;

enum class LogLevel { debug, info, warning, error };
using LogCallback = std::function<void(LogLevel, std::string_view message)>;

struct ContextOptions {
  int threads = 0;  ///< worker threads including the caller; 0 = one per core this process may use
  LogCallback log;  ///< called from any thread; empty = silent
};

/// What pipelines, devices and exporters share: threads and the log. Thread-safe. Several may live in one process.
class Context {
 public:
  explicit Context(ContextOptions options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  ThreadPool& threads() { return *pool_; }
  int thread_count() const;
  void log(LogLevel level, std::string_view message) const;

 private:
  LogCallback log_;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace nibble
