#pragma once

#include <string_view>
#include <vector>

#include "nibble/tensor.hpp"

namespace nibble {

/// Where the groups of a weight lie: `blocks` blocks of `reduced` x `columns` x `inner` elements. Each column of a block is
/// one group of reduced * inner elements. With one column groups are contiguous, the common case: a [O, C] weight with
/// groups of 128 is O * C / 128 blocks of 128 x 1 x 1. A [C, O] weight with groups of 128 is C / 128 blocks of 128 x O x 1.
struct WeightLayout {
  size_t blocks = 1, reduced = 1, columns = 1, inner = 1;
  Shape codes;      ///< shape of the codes: that of the weight, or with the reduced axis split into [groups, group size]
  Shape scales;     ///< the same with 1 where elements share a scale
  size_t rows = 1;  ///< into how many equal contiguous parts codes and scales can be cut

  size_t group_size() const { return reduced * inner; }
  size_t group_count() const { return blocks * columns; }
  size_t size() const { return group_size() * group_count(); }
};

/// `reduction_axes` are those that share a scale, ascending; `group_size` divides a single axis, -1 = all of it.
/// Throws Error{unsupported} for groups over several axes or axes that lie too scattered, Error{invalid_argument} where the
/// group size does not divide the axis. `name` is for messages.
WeightLayout weight_layout(const Shape& shape, const std::vector<size_t>& reduction_axes, int64_t group_size, std::string_view name);

}  // namespace nibble
