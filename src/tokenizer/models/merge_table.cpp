#include "tokenizer/models/merge_table.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <queue>

namespace nibble::tokenizer {
namespace {

// Up to here a scan for the best pair beats a heap: the ranks fit into a few cache lines.
constexpr size_t kShortWord = 32;
constexpr uint32_t kNoMerge = std::numeric_limits<uint32_t>::max();

void merge_short(std::vector<Symbol>& symbols, const MergeTable& table) {
  Merge merges[kShortWord];
  const auto update = [&](size_t i) {
    const Merge* merge = i + 1 < symbols.size() ? table.find(symbols[i].id, symbols[i + 1].id) : nullptr;
    merges[i] = merge != nullptr ? *merge : Merge{kNoMerge, 0};
  };
  for (size_t i = 0; i < symbols.size(); ++i) update(i);
  while (symbols.size() > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < symbols.size(); ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoMerge) return;
    symbols[best] = {merges[best].id, symbols[best].size + symbols[best + 1].size};
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    for (size_t i = best + 1; i + 1 < symbols.size(); ++i) merges[i] = merges[i + 1];
    update(best);
    if (best > 0) update(best - 1);
  }
}

/// A merge that looked possible when it was noted.
struct Candidate {
  uint32_t rank, position, id;
  bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : position > other.position; }
};

/// Hands out candidates by rank, then position. Candidates come rank by rank and mostly from left to right, so a sorted list per
/// rank does the work of a heap; the heap is for those that come late.
class CandidateQueue {
 public:
  void push(const Candidate& candidate) {
    if (begun_ && candidate.rank <= rank_) return late_.push(candidate);
    waiting_[candidate.rank].push_back(candidate);
  }

  std::optional<Candidate> pop() {
    if (late_.empty() && next_ == active_.size() && !activate()) return std::nullopt;
    if (late_.empty() || (next_ < active_.size() && late_.top() > active_[next_])) return active_[next_++];
    const Candidate top = late_.top();
    late_.pop();
    return top;
  }

 private:
  bool activate() {
    if (waiting_.empty()) return false;
    auto lowest = waiting_.extract(waiting_.begin());
    rank_ = lowest.key();
    begun_ = true;
    active_ = std::move(lowest.mapped());
    next_ = 0;
    const auto before = [](const Candidate& a, const Candidate& b) { return a.position < b.position; };
    if (!std::is_sorted(active_.begin(), active_.end(), before)) std::sort(active_.begin(), active_.end(), before);
    return true;
  }

  std::map<uint32_t, std::vector<Candidate>> waiting_;  // by rank, above rank_
  std::vector<Candidate> active_;                       // those of rank_, by position
  size_t next_ = 0;
  uint32_t rank_ = 0;
  bool begun_ = false;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> late_;
};

/// A doubly linked list of symbols that merges its way through a queue.
class LongWord {
 public:
  LongWord(std::vector<Symbol>& symbols, const MergeTable& table) : symbols_(symbols), table_(table), links_(symbols.size()) {
    const auto count = static_cast<uint32_t>(symbols.size());
    for (uint32_t i = 0; i < count; ++i) {
      links_[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
      push(i);
    }
  }

  void run() {
    while (const auto next = queue_.pop()) {
      const Merge* merge = symbols_[next->position].size == 0 ? nullptr : merge_at(next->position);
      if (merge != nullptr && merge->id == next->id) apply(*next);
    }
    std::erase_if(symbols_, [](const Symbol& symbol) { return symbol.size == 0; });
  }

 private:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  struct Link {
    uint32_t previous, next;
  };

  const Merge* merge_at(uint32_t position) const {
    const uint32_t next = links_[position].next;
    return next == kNone ? nullptr : table_.find(symbols_[position].id, symbols_[next].id);
  }

  void push(uint32_t position) {
    if (const Merge* merge = merge_at(position)) queue_.push({merge->rank, position, merge->id});
  }

  void apply(const Candidate& candidate) {
    const uint32_t left = candidate.position, right = links_[left].next;
    symbols_[left] = {candidate.id, symbols_[left].size + symbols_[right].size};
    symbols_[right].size = 0;
    links_[left].next = links_[right].next;
    if (links_[left].next != kNone) links_[links_[left].next].previous = left;
    if (links_[left].previous != kNone) push(links_[left].previous);
    push(left);
  }

  std::vector<Symbol>& symbols_;
  const MergeTable& table_;
  std::vector<Link> links_;
  CandidateQueue queue_;
};

}  // namespace

void MergeTable::reserve(size_t merges) { grow(std::bit_ceil(2 * merges + 16)); }

void MergeTable::grow(size_t slots) {
  std::vector<Entry> old(slots, Entry{kFree, {}});
  old.swap(entries_);
  mask_ = slots - 1;
  size_ = 0;
  for (const Entry& entry : old) {
    if (entry.key != kFree) insert(static_cast<uint32_t>(entry.key >> 32), static_cast<uint32_t>(entry.key), entry.merge);
  }
}

void MergeTable::insert(uint32_t left, uint32_t right, Merge merge) {
  if (2 * size_ + 2 > entries_.size()) grow(std::bit_ceil(4 * size_ + 16));
  const uint64_t key = key_of(left, right);
  size_t slot = hash(key) & mask_;
  while (entries_[slot].key != kFree && entries_[slot].key != key) slot = (slot + 1) & mask_;
  if (entries_[slot].key == kFree) ++size_;
  entries_[slot] = {key, merge};
}

void merge_symbols(std::vector<Symbol>& symbols, const MergeTable& merges) {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShortWord) return merge_short(symbols, merges);
  LongWord(symbols, merges).run();
}

}  // namespace nibble::tokenizer
