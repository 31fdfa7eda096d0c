#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nibble/tensor.hpp"

namespace nibble {

/// The attributes of a node: names and values as OpenVINO IR writes them in <data>, in their order, read on demand.
/// Keeping the text makes a read-write cycle exact, including attributes that Nibble does not know.
class Attributes {
 public:
  using Entry = std::pair<std::string, std::string>;
  Attributes() = default;
  Attributes(std::initializer_list<Entry> entries) : entries_(entries) {}

  const std::vector<Entry>& entries() const { return entries_; }
  const std::string* find(std::string_view name) const;
  void set(std::string_view name, std::string value);

  // Typed access. Missing names give the default; a malformed value throws Error{corrupt} naming the attribute.
  std::string get_string(std::string_view name, std::string_view fallback = {}) const;
  int64_t get_int(std::string_view name, int64_t fallback) const;
  double get_float(std::string_view name, double fallback) const;
  bool get_bool(std::string_view name, bool fallback) const;   ///< true/false/1/0, any case
  std::vector<int64_t> get_ints(std::string_view name) const;  ///< "2, 2"; missing = empty
  ElementType get_type(std::string_view name, ElementType fallback) const;
  /// Case-insensitive comparison with an enum's spelling.
  bool equals(std::string_view name, std::string_view value, std::string_view fallback) const;

 private:
  std::vector<Entry> entries_;
};

/// Text of values as OpenVINO writes them.
std::string attribute_text(bool value);
std::string attribute_text(int64_t value);
std::string attribute_text(double value);  ///< shortest text that reads back as the same float
std::string attribute_text(const std::vector<int64_t>& values);

}  // namespace nibble
