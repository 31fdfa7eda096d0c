#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/tensor.hpp"

namespace nibble {

/// -1 in a dimension: known only at run time.
inline constexpr int64_t kDynamic = -1;

/// A shape as far as it is known before running: dimensions of -1 are dynamic, the rank may be dynamic too.
class PartialShape {
 public:
  PartialShape() = default;  ///< rank unknown
  PartialShape(std::initializer_list<int64_t> dims) : known_(true), dims_(dims) {}
  PartialShape(Shape dims) : known_(true), dims_(std::move(dims)) {}
  /// All dimensions dynamic.
  static PartialShape of_rank(size_t rank) { return Shape(rank, kDynamic); }

  bool rank_is_known() const { return known_; }
  size_t rank() const { return dims_.size(); }
  bool is_static() const;
  const Shape& dims() const { return dims_; }
  int64_t operator[](size_t i) const { return dims_[i]; }
  int64_t& operator[](size_t i) { return dims_[i]; }
  bool operator==(const PartialShape&) const = default;

 private:
  bool known_ = false;
  Shape dims_;
};

/// OpenVINO's notation: "?,8,?,128"; "..." for an unknown rank; bounded dimensions ("1..10") read as dynamic.
std::string to_string(const PartialShape& shape);
/// Throws Error{corrupt} on anything else.
PartialShape parse_partial_shape(std::string_view text);

}  // namespace nibble
