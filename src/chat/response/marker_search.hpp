#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nibble {

/// Finds markers in text that comes byte by byte, holding back no more than what may be the beginning of one. Of markers that
/// start at the same place the shortest wins. One thread at a time.
class MarkerSearch {
 public:
  static constexpr int kNone = -1;

  /// `markers` have to outlive the search; empty ones are left out but keep their index.
  explicit MarkerSearch(std::vector<std::string_view> markers);

  /// Takes a byte. Appends to `text` what is certainly no marker; the index of a marker that ends with the byte, or kNone.
  int push(char c, std::string& text);
  /// What is held back; the search starts anew.
  std::string rest() { return std::exchange(held_, {}); }
  bool holds() const { return !held_.empty(); }
  std::string_view marker(int index) const { return markers_[static_cast<size_t>(index)]; }

 private:
  enum class Match { none, beginning, whole };
  Match match(int& index) const;

  std::vector<std::string_view> markers_;
  std::bitset<256> first_;
  std::string held_;
};

}  // namespace nibble
