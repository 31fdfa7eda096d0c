#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "nibble/tensor.hpp"

namespace nibble {

/// Scales of a matrix: one for every row and group of columns. Immutable and thread-safe.
class GroupValues {
 public:
  virtual ~GroupValues() = default;
  /// Of all groups of a row.
  virtual void read(int64_t row, std::span<float> out) const = 0;
};

/// Where a tensor holds the scale of a row and group: at (row / rows_per_value) * row_step + group * group_step.
struct GroupLayout {
  int64_t row_step = 0, group_step = 0, rows_per_value = 1;
};

/// Elements of a float tensor divided by `divisor`. The tensor holds all that the layout leads to.
std::unique_ptr<GroupValues> group_values(Tensor values, GroupLayout layout, float divisor = 1);

}  // namespace nibble
