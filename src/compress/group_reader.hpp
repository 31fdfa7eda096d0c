#pragma once

#include <span>
#include <vector>

#include "compress/weight_layout.hpp"
#include "compress/weight_reader.hpp"

namespace nibble {

/// A batch of groups that lie side by side: contiguous groups of several blocks, or columns of one block.
struct GroupBatch {
  size_t first_group = 0;  ///< block * columns + column
  size_t count = 0;
};

/// Cuts the groups of blocks [begin, end) into batches of a size that fits the cache.
std::vector<GroupBatch> group_batches(const WeightLayout& layout, size_t begin, size_t end);

/// Gathers the weights of a batch, group after group.
void read_groups(const WeightReader& reader, const WeightLayout& layout, const GroupBatch& batch, std::vector<float>& out);

/// The runs of neighbouring elements that a batch covers in the weight's own order: calls visit(element, position, length) where
/// a run of `length` elements starts at `element` and consists of pieces of `inner` elements, one per group, `position` being
/// the offset of the first piece within its group.
template <class Visit>
void for_each_run(const WeightLayout& layout, const GroupBatch& batch, Visit&& visit) {
  if (layout.columns == 1) return visit(batch.first_group * layout.group_size(), size_t{0}, batch.count * layout.group_size());
  size_t block = batch.first_group / layout.columns, column = batch.first_group % layout.columns;
  for (size_t r = 0; r < layout.reduced; ++r)
    visit(((block * layout.reduced + r) * layout.columns + column) * layout.inner, r * layout.inner, batch.count * layout.inner);
}

}  // namespace nibble
