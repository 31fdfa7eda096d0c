#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nibble {

/// Which columns of a matrix share a scale, and how that looks in groups of equal size.
struct ColumnGroups {
  int64_t columns = 0, count = 0;
  int64_t size = 0;            ///< column c is in group c / size; 0: in group index[c]
  std::vector<int32_t> index;  ///< empty where size says it

  // In equal groups of columns that follow each other, perhaps in another order than the matrix has them:
  int64_t grid_size = 0;              ///< 0: there are none that are large enough
  std::vector<int32_t> grid_index;    ///< the group that each is part of; empty: its number
  std::vector<int32_t> column_order;  ///< of EncodedMatrix

  int64_t grid_count() const { return grid_size ? columns / grid_size : 0; }
  int64_t group_of(int64_t column) const { return size ? column / size : index[static_cast<size_t>(column)]; }
};

/// Groups of `size` columns, the last one perhaps of fewer.
ColumnGroups groups_of_size(int64_t columns, int64_t size);

/// Column c in group index[c] of `count`. Throws Error{corrupt}, starting with `where`, for an index out of range.
ColumnGroups groups_by_index(std::vector<int32_t> index, int64_t count, const std::string& where);

}  // namespace nibble
