#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble::tokenizer {

/// A prefix tree over byte strings. Immutable and thread-safe once built.
class ByteTrie {
 public:
  ByteTrie() = default;
  /// Maps each non-empty key to its value (>= 0); of equal keys the last one counts.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries);

  bool empty() const { return nodes_.empty(); }
  /// True when no key begins with `byte`.
  bool skips(unsigned char byte) const { return roots_[byte] == 0; }

  /// Calls visit(length, value) for each key that `text` begins with, shortest first.
  template <class Visit>
  void for_each_prefix(std::string_view text, Visit&& visit) const {
    if (empty() || text.empty()) return;
    uint32_t node = roots_[static_cast<unsigned char>(text[0])];
    for (size_t length = 1; node != 0; ++length) {
      if (nodes_[node].value >= 0) visit(length, nodes_[node].value);
      if (length == text.size()) return;
      node = child(node, static_cast<unsigned char>(text[length]));
    }
  }

 private:
  struct Node {
    uint32_t first_edge = 0;
    uint16_t edges = 0;
    int32_t value = -1;
  };
  uint32_t child(uint32_t node, unsigned char byte) const;

  std::vector<Node> nodes_;  // node 0 is the root
  std::vector<unsigned char> labels_;
  std::vector<uint32_t> targets_;
  std::array<uint32_t, 256> roots_{};
};

}  // namespace nibble::tokenizer
