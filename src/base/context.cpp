#include "nibble/context.hpp"

#include "base/thread_pool.hpp"

namespace nibble {

Context::Context(ContextOptions options) : log_(std::move(options.log)), pool_(std::make_unique<ThreadPool>(options.threads)) {}

Context::~Context() = default;

int Context::thread_count() const { return pool_->size(); }

void Context::log(LogLevel level, std::string_view message) const {
  if (log_) log_(level, message);
}

}  // namespace nibble
