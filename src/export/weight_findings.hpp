#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace nibble {

/// Values of weights that are not what they should be, found while they were converted. Thread-safe.
class WeightFindings {
 public:
  /// Values too large for f16, infinite ones included, that became its largest.
  void add_clipped(const std::string& weight, uint64_t count) { add(clipped_, weight, count); }
  /// Values that are infinite or not a number.
  void add_not_finite(const std::string& weight, uint64_t count) { add(not_finite_, weight, count); }

  std::map<std::string, uint64_t> clipped() const { return copy(clipped_); }
  std::map<std::string, uint64_t> not_finite() const { return copy(not_finite_); }

 private:
  using Counts = std::map<std::string, uint64_t>;
  void add(Counts& counts, const std::string& weight, uint64_t count) {
    std::lock_guard lock(mutex_);
    counts[weight] += count;
  }
  Counts copy(const Counts& counts) const {
    std::lock_guard lock(mutex_);
    return counts;
  }

  mutable std::mutex mutex_;
  Counts clipped_, not_finite_;
};

}  // namespace nibble
