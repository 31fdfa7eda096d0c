#include "compress/group_reader.hpp"

#include <algorithm>

namespace nibble {

namespace {

constexpr size_t kBatchElements = 8192;  // floats of a batch take 32 KB: the first-level cache
constexpr size_t kBatchColumns = 64;     // of a [C, O] weight: a run of 64 halves fills two cache lines

}  // namespace

std::vector<GroupBatch> group_batches(const WeightLayout& layout, size_t begin, size_t end) {
  std::vector<GroupBatch> batches;
  if (layout.columns == 1) {
    size_t step = std::max<size_t>(1, kBatchElements / layout.group_size());
    for (size_t group = begin; group < end; group += step) batches.push_back({group, std::min(step, end - group)});
    return batches;
  }
  for (size_t block = begin; block < end; ++block)
    for (size_t column = 0; column < layout.columns; column += kBatchColumns)
      batches.push_back({block * layout.columns + column, std::min(kBatchColumns, layout.columns - column)});
  return batches;
}

void read_groups(const WeightReader& reader, const WeightLayout& layout, const GroupBatch& batch, std::vector<float>& out) {
  size_t size = layout.group_size(), inner = layout.inner;
  out.resize(batch.count * size);
  if (layout.columns == 1) return reader.read(batch.first_group * size, out);
  std::vector<float> run(batch.count * inner);
  for_each_run(layout, batch, [&](size_t element, size_t position, size_t) {
    reader.read(element, run);
    for (size_t g = 0; g < batch.count; ++g) std::copy_n(run.data() + g * inner, inner, out.data() + g * size + position);
  });
}

}  // namespace nibble
