#include "calibrate/value_store.hpp"

namespace nibble {

namespace {

constexpr size_t kSmall = 4096;  // bytes that are not worth a place on the disk

}  // namespace

ValueStore::ValueStore(size_t owners, size_t memory_limit, std::filesystem::path spill_directory)
    : entries_(owners), memory_limit_(memory_limit), spill_(std::move(spill_directory)) {}

bool ValueStore::take_memory(size_t bytes) {
  std::scoped_lock lock(mutex_);
  if (bytes > kSmall && memory_ + bytes > memory_limit_) return false;
  memory_ += bytes;
  return true;
}

void ValueStore::put(size_t owner, Value value, Tensor tensor) {
  size_t bytes = tensor.byte_size();
  Entry entry = take_memory(bytes) ? Entry{std::move(tensor), bytes} : Entry{spill_.keep(tensor), 0};
  std::scoped_lock lock(mutex_);
  entries_[owner][value] = std::move(entry);
}

Tensor ValueStore::get(size_t owner, Value value) const {
  std::scoped_lock lock(mutex_);
  return entries_[owner].at(value).tensor;
}

void ValueStore::drop(size_t owner, Value value) {
  Entry dropped;  // destroyed without the lock: it may be large
  std::scoped_lock lock(mutex_);
  auto found = entries_[owner].find(value);
  if (found == entries_[owner].end()) return;
  dropped = std::move(found->second);
  entries_[owner].erase(found);
  memory_ -= dropped.bytes;
}

void ValueStore::share(size_t from, size_t to) {
  std::scoped_lock lock(mutex_);
  for (const auto& [value, entry] : entries_[from]) entries_[to].try_emplace(value, Entry{entry.tensor, 0});
}

size_t ValueStore::memory_bytes() const {
  std::scoped_lock lock(mutex_);
  return memory_;
}

}  // namespace nibble
