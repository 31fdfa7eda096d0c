#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nibble::tokenizer {

/// What a pair of neighbouring tokens becomes; merges of lower rank come first.
struct Merge {
  uint32_t rank, id;
};

/// The merges of a BPE model by their pair. Thread-safe once filled.
class MergeTable {
 public:
  void reserve(size_t merges);
  /// Of two merges of one pair the later counts.
  void insert(uint32_t left, uint32_t right, Merge merge);

  /// nullptr where the pair does not merge.
  const Merge* find(uint32_t left, uint32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t slot = hash(key) & mask_;; slot = (slot + 1) & mask_) {
      if (entries_[slot].key == key) return &entries_[slot].merge;
      if (entries_[slot].key == kFree) return nullptr;
    }
  }

 private:
  struct Entry {
    uint64_t key;
    Merge merge;
  };
  static constexpr uint64_t kFree = ~uint64_t{0};  // ids are far below 2^32 - 1
  static uint64_t key_of(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }
  static size_t hash(uint64_t key) {
    key *= 0x9E3779B97F4A7C15u;  // Fibonacci hashing; the high bits are the mixed ones
    return static_cast<size_t>(key ^ key >> 32);
  }
  void grow(size_t slots);

  std::vector<Entry> entries_{{kFree, {}}};
  size_t mask_ = 0, size_ = 0;
};

/// A token in a word that is being merged, and its bytes.
struct Symbol {
  uint32_t id, size;
};

/// Merges neighbours, best rank first and leftmost first among equals, until nothing merges.
void merge_symbols(std::vector<Symbol>& symbols, const MergeTable& merges);

}  // namespace nibble::tokenizer
