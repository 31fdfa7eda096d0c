#include "compress/compressed_weight.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compress/group_reader.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

/// The parts that a weight can be cut into. Those of a lazy weight should be whole parts of it, or each slice would
/// produce the neighbours' elements again.
size_t row_count(const WeightTask& task) {
  size_t rows = task.layout.rows;
  if (!task.weight.is_lazy()) return rows;
  auto original = static_cast<size_t>(task.weight.source()->rows());
  if (original % rows == 0) return rows;
  return rows % original == 0 ? original : 1;
}

void pack_scales(ElementType type, std::span<const float> scales, float second_order, std::byte* out, size_t first) {
  for (size_t i = 0; i < scales.size(); ++i) {
    size_t at = first + i;
    if (type == ElementType::f16) {
      float16 half = to_float16(scales[i]);
      std::memcpy(out + 2 * at, &half, 2);
    } else if (type == ElementType::f8e8m0) {
      out[at] = static_cast<std::byte>(std::ilogb(scales[i]) + 127);
    } else {
      out[at] = static_cast<std::byte>(float_to_f8e4m3(scales[i] / second_order));
    }
  }
}

/// Scratch of one produce(): a batch's weights, codes, scales and zero points.
struct Batch {
  std::vector<float> weights, scales;
  std::vector<uint8_t> codes, zero_points, run;

  void resize(size_t groups, size_t group_size) {
    codes.resize(groups * group_size);
    scales.resize(groups);
    zero_points.resize(groups);
  }
};

/// Puts a batch's codes where its weights lay, relative to `first_element`.
void store_codes(const WeightLayout& layout, const GroupBatch& groups, Batch& batch, ElementType type, std::byte* out,
                 size_t first_element) {
  size_t inner = layout.inner, size = layout.group_size();
  for_each_run(layout, groups, [&](size_t element, size_t position, size_t length) {
    if (layout.columns == 1) return pack_codes(type, batch.codes, out, element - first_element);
    batch.run.resize(length);
    for (size_t g = 0; g < groups.count; ++g) std::copy_n(batch.codes.data() + g * size + position, inner, batch.run.data() + g * inner);
    pack_codes(type, batch.run, out, element - first_element);
  });
}

}  // namespace

ElementType code_type(const WeightTask& task) {
  if (is_codebook(task.rule.mode)) return task.rule.levels->thresholds.size() < 16 ? ElementType::u4 : ElementType::u8;
  return weight_format(task.rule.mode).codes;
}

SecondOrderScale::SecondOrderScale(std::shared_ptr<const WeightTask> task)
    : task_(std::move(task)), shape_(task_->layout.scales.size(), 1) {}

float SecondOrderScale::value() const {
  std::call_once(once_, [&] {
    const WeightLayout& layout = task_->layout;
    WeightReader reader(task_->weight, 0, layout.size());
    std::vector<float> weights, scales;
    float largest = 0;
    for (const GroupBatch& batch : group_batches(layout, 0, layout.blocks)) {
      read_groups(reader, layout, batch, weights);
      scales.resize(batch.count);
      float_scales(weights, task_->rule, scales);
      largest = std::max(largest, *std::max_element(scales.begin(), scales.end()));
    }
    value_ = second_order_scale(largest, layout.group_count());
  });
  return value_;
}

void SecondOrderScale::produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const {
  if (begin == end) return;
  float scale = value();
  std::memcpy(out[0].data(), &scale, sizeof(scale));
}

CompressedWeight::CompressedWeight(std::shared_ptr<const WeightTask> task, std::shared_ptr<const SecondOrderScale> second_order)
    : task_(std::move(task)), second_order_(std::move(second_order)), rows_(static_cast<int64_t>(row_count(*task_))) {
  const WeightFormat& format = weight_format(task_->rule.mode);
  outputs_ = {{code_type(*task_), task_->layout.codes}, {format.scale, task_->layout.scales}};
  if (format.family == QuantizerFamily::asymmetric) outputs_.push_back({format.codes, task_->layout.scales});
}

void CompressedWeight::produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const {
  if (begin == end) return;
  const WeightLayout& layout = task_->layout;
  size_t blocks_per_row = layout.blocks / static_cast<size_t>(rows_);
  size_t first_block = static_cast<size_t>(begin) * blocks_per_row, last_block = static_cast<size_t>(end) * blocks_per_row;
  size_t first_group = first_block * layout.columns, first_element = first_group * layout.group_size();
  WeightReader reader(task_->weight, first_element, (last_block - first_block) * layout.columns * layout.group_size());
  // Codes that fill bytes in part are merged into them, and padding is zero.
  for (size_t i = 0; i < output_count(); ++i)
    if (bit_width(type(i)) < 8) std::fill(out[i].begin(), out[i].end(), std::byte{0});
  Batch batch;
  for (const GroupBatch& groups : group_batches(layout, first_block, last_block)) {
    read_groups(reader, layout, groups, batch.weights);
    batch.resize(groups.count, layout.group_size());
    quantize_groups(batch.weights, task_->rule, {batch.codes, batch.scales, batch.zero_points});
    store_codes(layout, groups, batch, type(kCodes), out[kCodes].data(), first_element);
    size_t at = groups.first_group - first_group;
    pack_scales(type(kScales), batch.scales, second_order_ ? second_order_->value() : 1.0f, out[kScales].data(), at);
    if (output_count() > kZeroPoints) pack_codes(type(kZeroPoints), batch.zero_points, out[kZeroPoints].data(), at);
  }
}

}  // namespace nibble
