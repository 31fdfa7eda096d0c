#include "tokenizer/openvino/character_map_writer.hpp"

#include <algorithm>
#include <cstdint>

#include "base/utf8.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

constexpr size_t kBlock = 256;  // readers look at any unit of a block without asking whether it is there

/// Builds a double-array trie in the format of darts-clone: a node at `place` has its children at base ^ label, where base is
/// place ^ offset(node); label 0 is the node's value. No two nodes share a base.
class DoubleArray {
 public:
  using Entries = std::vector<std::pair<std::string, uint32_t>>;  // sorted by key

  explicit DoubleArray(const Entries& entries) : entries_(entries) {
    reserve(0);
    taken_[0] = true;
    add_children(0, 0, entries_.size(), 0);
  }
  const std::vector<uint32_t>& units() const { return units_; }

 private:
  struct Child {
    unsigned char label;
    size_t begin, end;
  };

  static constexpr uint32_t kLeaf = 1u << 31, kHasLeaf = 1u << 8;
  static constexpr unsigned kOffsetShift = 10;

  std::vector<Child> children(size_t begin, size_t end, size_t depth) const {
    std::vector<Child> found;
    for (size_t i = begin; i < end; ++i) {
      const std::string& key = entries_[i].first;
      const auto label = static_cast<unsigned char>(depth < key.size() ? key[depth] : '\0');
      if (found.empty() || found.back().label != label) found.push_back({label, i, i});
      found.back().end = i + 1;
    }
    return found;
  }

  void reserve(size_t place) {
    const size_t size = (place / kBlock + 1) * kBlock;
    if (size <= units_.size()) return;
    units_.resize(size, 0);
    taken_.resize(size, false);
    is_base_.resize(size, false);
  }

  size_t find_base(const std::vector<Child>& wanted) {
    for (size_t base = first_free_;; ++base) {
      reserve(base);
      const auto free = [&](const Child& child) { return !taken_[base ^ child.label]; };
      if (!is_base_[base] && std::all_of(wanted.begin(), wanted.end(), free)) return base;
    }
  }

  /// The depth is that of the longest key.
  void add_children(size_t place, size_t begin, size_t end, size_t depth) {
    const std::vector<Child> wanted = children(begin, end, depth);
    const size_t base = find_base(wanted);
    is_base_[base] = true;
    for (const Child& child : wanted) taken_[base ^ child.label] = true;
    while (first_free_ < taken_.size() && taken_[first_free_]) ++first_free_;
    units_[place] |= static_cast<uint32_t>(place ^ base) << kOffsetShift;
    for (const Child& child : wanted) {
      const size_t target = base ^ child.label;
      if (child.label == 0) {
        units_[place] |= kHasLeaf;
        units_[target] = entries_[child.begin].second | kLeaf;
      } else {
        units_[target] |= child.label;
        add_children(target, child.begin, child.end, depth + 1);
      }
    }
  }

  const Entries& entries_;
  std::vector<uint32_t> units_;
  std::vector<bool> taken_, is_base_;
  size_t first_free_ = 1;
};

void append_u32(std::string& bytes, uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(value >> shift & 0xFF));
}

}  // namespace

std::string write_character_map(std::vector<std::pair<std::string, std::string>> entries) {
  std::sort(entries.begin(), entries.end());
  DoubleArray::Entries places;
  std::string replacements;
  for (const auto& [from, to] : entries) {
    places.emplace_back(from, static_cast<uint32_t>(replacements.size()));
    replacements.append(to).push_back('\0');
  }
  const DoubleArray trie(places);
  std::string bytes;
  append_u32(bytes, static_cast<uint32_t>(4 * trie.units().size()));
  for (uint32_t unit : trie.units()) append_u32(bytes, unit);
  return bytes + replacements;
}

std::string lowercase_map() {
  std::vector<std::pair<std::string, std::string>> entries;
  for (char32_t c = 1; c <= 0x10FFFF; ++c) {
    if (c == 0x130) {
      entries.emplace_back(to_utf8(c), to_utf8('i') + to_utf8(0x307));
    } else if (const char32_t lower = to_lower(c); lower != c) {
      entries.emplace_back(to_utf8(c), to_utf8(lower));
    }
  }
  return write_character_map(std::move(entries));
}

char32_t fallback_character(unsigned char byte) { return 0x10FE00 + byte; }

/// Maps are searched for the longest key, byte by byte, so that a lone byte is a key that counts where no character does.
std::string byte_fallback_map(const std::vector<char32_t>& known) {
  std::vector<std::pair<std::string, std::string>> entries;
  std::vector<bool> is_known(0x80);
  for (char32_t c : known) {
    if (c < 0x80) {
      is_known[c] = true;
    } else {
      entries.emplace_back(to_utf8(c), to_utf8(c));
    }
  }
  for (unsigned byte = 1; byte < 0x100; ++byte)
    if (byte >= 0x80 || !is_known[byte])
      entries.emplace_back(std::string(1, static_cast<char>(byte)), to_utf8(fallback_character(static_cast<unsigned char>(byte))));
  return write_character_map(std::move(entries));
}

}  // namespace nibble::tokenizer
