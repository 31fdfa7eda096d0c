#include "compress/stored_weight.hpp"

#include <algorithm>

#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// Codes [first, first + out.size()) as what they stand for, but for zero points and scales.
void read_codes(const WeightTask& task, size_t first, std::span<float> out) {
  unpack_to_float(task.stored_codes.type(), task.stored_codes.data(), first, out);
  if (is_codebook(task.rule.mode))
    for (float& value : out) value = task.rule.levels->levels[static_cast<size_t>(value)];
  if (is_offset_symmetric(task.rule.mode))
    for (float& value : out) value -= static_cast<float>(1 << (weight_format(task.rule.mode).bits - 1));
}

}  // namespace

DequantizedWeight::DequantizedWeight(std::shared_ptr<const WeightTask> task) : task_(std::move(task)) {}

void DequantizedWeight::produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const {
  if (begin == end) return;
  const WeightLayout& layout = task_->layout;
  const GroupScales& given = *task_->given;
  size_t per_block = layout.reduced * layout.columns * layout.inner;
  size_t blocks_per_row = layout.blocks / layout.rows;
  size_t first = static_cast<size_t>(begin) * blocks_per_row, last = static_cast<size_t>(end) * blocks_per_row;
  std::vector<float> values(per_block);
  for (size_t block = first; block < last; ++block) {
    read_codes(*task_, block * per_block, values);
    for (size_t i = 0; i < per_block; ++i) {
      size_t group = block * layout.columns + i / layout.inner % layout.columns;
      float zero_point = given.zero_points.empty() ? 0.0f : static_cast<float>(given.zero_points[group]);
      values[i] = (values[i] - zero_point) * given.scales[group];
    }
    pack_from_float(task_->weight.type(), values, out[0].data(), (block - first) * per_block);
  }
}

}  // namespace nibble
