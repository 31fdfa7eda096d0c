#pragma once

#include <cstdint>
#include <string_view>

namespace nibble {

/// Receives the progress of long work. Calls come from one thread at a time, not always the same one.
class Progress {
 public:
  virtual ~Progress() = default;
  /// A stage of `total` units ("bytes", "tensors", "tokens") starts; total 0 = unknown.
  virtual void begin(std::string_view stage, uint64_t total, std::string_view unit) = 0;
  virtual void advance(uint64_t units) = 0;
  virtual void end() = 0;
  /// True asks the work to stop: it cleans up and throws Error{cancelled}.
  virtual bool cancelled() const { return false; }
};

}  // namespace nibble
