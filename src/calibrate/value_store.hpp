#pragma once

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "calibrate/spill_space.hpp"
#include "calibrate/value_hash.hpp"
#include "graph/node.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// Values of a graph between one step of a calibration and a later one, of many owners (samples): in memory up to a limit, beyond it
/// on disk. Thread-safe.
class ValueStore {
 public:
  ValueStore(size_t owners, size_t memory_limit, std::filesystem::path spill_directory);

  /// Throws Error{exhausted} when the disk is full.
  void put(size_t owner, Value value, Tensor tensor);
  /// Throws std::out_of_range for what was not put.
  Tensor get(size_t owner, Value value) const;
  void drop(size_t owner, Value value);
  /// Gives `to` all values of `from` that it has none for. They are not copied, and count as memory of `from` alone.
  void share(size_t from, size_t to);

  size_t memory_bytes() const;
  size_t spilled_bytes() const { return spill_.used_bytes(); }

 private:
  struct Entry {
    Tensor tensor;
    size_t bytes = 0;  ///< of memory; 0 for what is on disk
  };
  /// Whether these bytes of memory were free; they are then taken.
  bool take_memory(size_t bytes);

  mutable std::mutex mutex_;
  std::vector<std::unordered_map<Value, Entry, ValueHash>> entries_;  // by owner
  size_t memory_limit_, memory_ = 0;
  SpillSpace spill_;
};

}  // namespace nibble
