#include "checkpoint/prequantized/column_groups.hpp"

#include <algorithm>
#include <numeric>

#include "base/fail.hpp"

namespace nibble {

namespace {

// Smaller groups than these would take more room for their scales than floats do.
constexpr int64_t kSmallestGrid = 8;

/// Splits groups of several sizes, whose columns follow each other, into equal ones; `group_of` is by column of the grid.
template <class GroupOf>
void split_evenly(ColumnGroups& groups, GroupOf group_of) {
  int64_t step = 0, run = 0;
  for (int64_t c = 0; c < groups.columns; ++c, ++run)
    if (c > 0 && group_of(c) != group_of(c - 1)) step = std::gcd(step, std::exchange(run, 0));
  step = std::gcd(step, run);
  if (step < kSmallestGrid && step < groups.columns) return;
  groups.grid_size = step;
  bool is_own_number = true;
  for (int64_t c = 0; c < groups.columns; c += step) {
    groups.grid_index.push_back(static_cast<int32_t>(group_of(c)));
    is_own_number = is_own_number && groups.grid_index.back() == c / step;
  }
  if (is_own_number && groups.grid_count() == groups.count) groups.grid_index.clear();
}

bool is_contiguous(std::span<const int32_t> index, int64_t size) {
  for (size_t c = 0; c < index.size(); ++c)
    if (index[c] != static_cast<int64_t>(c) / size) return false;
  return true;
}

}  // namespace

ColumnGroups groups_of_size(int64_t columns, int64_t size) {
  ColumnGroups groups{columns, (columns + size - 1) / size, size, {}, 0, {}, {}};
  split_evenly(groups, [size](int64_t column) { return column / size; });
  return groups;
}

ColumnGroups groups_by_index(std::vector<int32_t> index, int64_t count, const std::string& where) {
  auto columns = static_cast<int64_t>(index.size());
  for (int32_t group : index)
    if (group < 0 || group >= count) fail(ErrorKind::corrupt, "{}: a column is in group {}, there are {}", where, group, count);
  int64_t size = std::count(index.begin(), index.end(), 0);
  if (size > 0 && (columns + size - 1) / size == count && is_contiguous(index, size)) return groups_of_size(columns, size);
  ColumnGroups groups{columns, count, 0, std::move(index), 0, {}, {}};
  std::vector<int32_t> order(groups.index.size());
  std::iota(order.begin(), order.end(), 0);
  auto group_of = [&](int64_t column) { return groups.index[static_cast<size_t>(order[static_cast<size_t>(column)])]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return groups.index[static_cast<size_t>(a)] < groups.index[static_cast<size_t>(b)]; });
  split_evenly(groups, group_of);
  if (groups.grid_size && !std::is_sorted(groups.index.begin(), groups.index.end())) groups.column_order = std::move(order);
  return groups;
}

}  // namespace nibble
