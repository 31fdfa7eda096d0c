#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::tokenizer {

/// The tokens of a model and their ids, both ways. Thread-safe once filled.
class Vocabulary {
 public:
  /// Ids beyond this are taken for damage: a table of all ids stays small.
  static constexpr uint32_t kMaxId = (1u << 24) - 1;

  void reserve(size_t tokens);
  /// Of two entries with one token the later counts for find(), of two with one id the later for token().
  void insert(std::string_view token, uint32_t id);

  std::optional<uint32_t> find(std::string_view token) const;
  /// The token of `id`; nullopt outside the vocabulary.
  std::optional<std::string_view> token(int64_t id) const;
  /// Distinct tokens.
  size_t size() const { return count_; }
  /// Calls visit(token, id) for every entry, in the order of insertion.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Entry& entry : entries_) visit(spelling(entry), entry.id);
  }

 private:
  struct Entry {
    size_t offset;
    uint32_t length, id;
  };
  std::string_view spelling(const Entry& entry) const { return std::string_view(bytes_).substr(entry.offset, entry.length); }
  size_t slot_of(std::string_view token) const;
  void grow(size_t slots);

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // open addressing; index of an entry + 1, 0 = free
  std::vector<uint32_t> by_id_;  // index of an entry + 1
  size_t count_ = 0;
};

}  // namespace nibble::tokenizer
