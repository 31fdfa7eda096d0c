#include "tokenizer/byte_trie.hpp"

#include <algorithm>
#include <cstddef>

namespace nibble::tokenizer {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::erase_if(entries, [](const auto& entry) { return entry.first.empty(); });
  if (entries.empty()) return;
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  // Breadth first: each node of depth d stands for a range of sorted keys that share d bytes.
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges{{0, entries.size(), 0}};
  nodes_.emplace_back();
  for (size_t node = 0; node < ranges.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    for (; begin < end && entries[begin].first.size() == depth; ++begin) nodes_[node].value = entries[begin].second;
    nodes_[node].first_edge = static_cast<uint32_t>(labels_.size());
    while (begin < end) {
      const char label = entries[begin].first[depth];
      size_t next = begin;
      while (next < end && entries[next].first[depth] == label) ++next;
      labels_.push_back(static_cast<unsigned char>(label));
      targets_.push_back(static_cast<uint32_t>(nodes_.size()));
      ++nodes_[node].edges;
      nodes_.emplace_back();
      ranges.push_back({begin, next, depth + 1});
      begin = next;
    }
  }
  for (size_t edge = 0; edge < nodes_[0].edges; ++edge) roots_[labels_[edge]] = targets_[edge];
}

uint32_t ByteTrie::child(uint32_t node, unsigned char byte) const {
  const Node& from = nodes_[node];
  const auto first = labels_.begin() + from.first_edge, last = first + from.edges;
  const auto edge = from.edges <= 8 ? std::find(first, last, byte) : std::lower_bound(first, last, byte);
  if (edge == last || *edge != byte) return 0;
  return targets_[static_cast<size_t>(edge - labels_.begin())];
}

}  // namespace nibble::tokenizer
