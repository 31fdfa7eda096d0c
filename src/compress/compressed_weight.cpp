#include "compress/compressed_weight.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/fail.hpp"
#include "compress/group_reader.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble {

namespace {

constexpr size_t kPieceOfWeight = size_t{1} << 20;  // elements of a lazy weight that are in memory at once

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

/// Counts what is wrong with the whole weight: the message is worth a pass.
[[noreturn]] void fail_not_finite(const WeightTask& task) {
  size_t total = task.layout.size(), count = 0, not_numbers = 0;
  std::vector<float> values;
  for (size_t at = 0; at < total; at += values.size()) {
    values.resize(std::min(kPieceOfWeight, total - at));
    WeightReader(task.weight, at, values.size()).read(at, values);
    count += quantize_kernels().count_not_finite(values.data(), values.size());
    not_numbers += static_cast<size_t>(std::count_if(values.begin(), values.end(), [](float value) { return std::isnan(value); }));
  }
  fail(ErrorKind::corrupt,
       "weight '{}' has {} values that are infinite or not a number ({} NaN, {} infinite): the checkpoint is damaged or its training "
       "diverged",
       task.name, count, not_numbers, count - not_numbers);
}

/// Of weights that are in the first-level cache, which makes the check all but free.
void require_finite(const WeightTask& task, std::span<const float> weights) {
  if (quantize_kernels().count_not_finite(weights.data(), weights.size()) > 0) fail_not_finite(task);
}

void quantize_batch(const WeightTask& task, size_t first_group, Batch& batch) {
  if (!task.given) return quantize_groups(batch.weights, task.rule, {batch.codes, batch.scales, batch.zero_points});
  size_t count = batch.scales.size();
  std::copy_n(task.given->scales.begin() + static_cast<std::ptrdiff_t>(first_group), count, batch.scales.begin());
  if (!task.given->zero_points.empty())
    std::copy_n(task.given->zero_points.begin() + static_cast<std::ptrdiff_t>(first_group), count, batch.zero_points.begin());
  encode_groups(batch.weights, task.rule, batch.scales, batch.zero_points, batch.codes);
}

/// Of the groups of some blocks.
float largest_scale(const WeightTask& task, size_t begin, size_t end) {
  const WeightLayout& layout = task.layout;
  size_t per_block = layout.columns * layout.group_size();
  WeightReader reader(task.weight, begin * per_block, (end - begin) * per_block);
  std::vector<float> weights, scales;
  float largest = 0;
  for (const GroupBatch& batch : group_batches(layout, begin, end)) {
    read_groups(reader, layout, batch, weights);
    scales.resize(batch.count);
    float_scales(weights, task.rule, scales);
    largest = std::max(largest, *std::max_element(scales.begin(), scales.end()));
  }
  return largest;
}

}  // namespace

ElementType code_type(const WeightTask& task) {
  if (is_codebook(task.rule.mode)) return task.rule.levels->thresholds.size() < 16 ? ElementType::u4 : ElementType::u8;
  return weight_format(task.rule.mode).codes;
}

SecondOrderScale::SecondOrderScale(std::shared_ptr<const WeightTask> task)
    : task_(std::move(task)), shape_(task_->layout.scales.size(), 1) {
  const WeightLayout& layout = task_->layout;
  step_ = std::max<size_t>(1, kPieceOfWeight / std::max<size_t>(1, layout.columns * layout.group_size()));
  left_ = (layout.blocks + step_ - 1) / step_;
}

/// The constants are written by the threads of a loop, which cannot run another: so they share the pass when they come to it.
float SecondOrderScale::value() const {
  size_t blocks = task_->layout.blocks;
  for (size_t begin; (begin = next_.fetch_add(1) * step_) < blocks;) {
    try {
      finish_part(largest_scale(*task_, begin, std::min(begin + step_, blocks)), nullptr);
    } catch (...) {
      finish_part(0, std::current_exception());
    }
  }
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return left_ == 0; });
  if (error_) std::rethrow_exception(error_);
  return second_order_scale(largest_, task_->layout.group_count());
}

void SecondOrderScale::finish_part(float largest, std::exception_ptr error) const {
  std::lock_guard lock(mutex_);
  largest_ = std::max(largest_, largest);
  if (error && !error_) error_ = std::move(error);
  if (--left_ == 0) done_.notify_all();
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
  float second_order = second_order_ ? second_order_->value() : 1.0f;
  Batch batch;
  for (const GroupBatch& groups : group_batches(layout, first_block, last_block)) {
    read_groups(reader, layout, groups, batch.weights);
    batch.resize(groups.count, layout.group_size());
    require_finite(*task_, batch.weights);
    quantize_batch(*task_, groups.first_group, batch);
    store_codes(layout, groups, batch, type(kCodes), out[kCodes].data(), first_element);
    size_t at = groups.first_group - first_group;
    pack_scales(type(kScales), batch.scales, second_order, out[kScales].data(), at);
    if (output_count() > kZeroPoints) pack_codes(type(kZeroPoints), batch.zero_points, out[kZeroPoints].data(), at);
  }
}

CompressedConstants compressed_constants(const std::shared_ptr<const WeightTask>& task) {
  CompressedConstants constants;
  const WeightFormat& format = weight_format(task->rule.mode);
  bool asymmetric = format.family == QuantizerFamily::asymmetric;
  if (task->stored_codes) {
    constants.codes = task->stored_codes;
    Tensor scales(format.scale, task->layout.scales), zero_points(format.codes, task->layout.scales);
    pack_scales(format.scale, task->given->scales, 1.0f, scales.mutable_data(), 0);
    constants.scales = scales;
    if (!asymmetric) return constants;
    pack_codes(format.codes, task->given->zero_points, zero_points.mutable_data(), 0);
    constants.zero_points = zero_points;
    return constants;
  }
  if (task->rule.mode == CompressWeightsMode::nvfp4) constants.second_order = std::make_shared<SecondOrderScale>(task);
  auto source = std::make_shared<const CompressedWeight>(task, constants.second_order);
  constants.codes = {source, CompressedWeight::kCodes};
  constants.scales = {source, CompressedWeight::kScales};
  if (asymmetric) constants.zero_points = ConstantValue(source, CompressedWeight::kZeroPoints);
  return constants;
}

}  // namespace nibble
