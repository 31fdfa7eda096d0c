#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>

namespace nibble {

/// A few texts, for tables that the compiler makes. Immutable.
class Markers {
 public:
  constexpr Markers() = default;
  constexpr Markers(std::initializer_list<std::string_view> list) {
    for (std::string_view marker : list) markers_[size_++] = marker;
  }
  constexpr const std::string_view* begin() const { return markers_.data(); }
  constexpr const std::string_view* end() const { return markers_.data() + size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr std::string_view front() const { return markers_[0]; }
  constexpr bool contains(std::string_view text) const {
    for (std::string_view marker : *this)
      if (marker == text) return true;
    return false;
  }

 private:
  std::array<std::string_view, 10> markers_ = {};
  size_t size_ = 0;
};

}  // namespace nibble
