#include "compress/sensitivity.hpp"

#include <algorithm>
#include <cmath>

#include "compress/group_reader.hpp"
#include "compress/quantize.hpp"

namespace nibble {

namespace {

constexpr size_t kLazyChunk = size_t{4} << 20;  // elements of a lazy weight that are in memory at once
constexpr size_t kBatchesPerTask = 16;

/// As NNCF takes it: of bf16 it sees the f16 buffer that it keeps it in, unless it has converted it.
double epsilon_of(ElementType type, WeightSensitivity kind) {
  if (type == ElementType::bf16 && kind == WeightSensitivity::inverse_error_with_data) return 0x1p-23;
  switch (type) {
    case ElementType::f64: return 0x1p-52;
    case ElementType::f32: return 0x1p-23;
    case ElementType::f8e4m3: return 0x1p-3;
    case ElementType::f8e5m2: return 0x1p-2;
    default: return 0x1p-10;
  }
}

/// Of the groups of a batch.
struct Errors {
  float largest = 0;  ///< mean square
  double sum = 0;     ///< of squares
};

Errors measure(const WeightReader& reader, const WeightLayout& layout, const GroupBatch& batch) {
  std::vector<float> weights, scales(batch.count);
  std::vector<uint8_t> codes(batch.count * layout.group_size()), zero_points(batch.count);
  read_groups(reader, layout, batch, weights);
  QuantizeRule rule{.mode = CompressWeightsMode::int8_asym, .group_size = layout.group_size()};
  quantize_groups(weights, rule, {codes, scales, zero_points});
  Errors errors;
  for (size_t g = 0; g < batch.count; ++g) {
    size_t at = g * layout.group_size();
    double sum = quantize_kernels().asymmetric_error(&weights[at], &codes[at], layout.group_size(), scales[g], zero_points[g]);
    errors.largest = std::max(errors.largest, static_cast<float>(sum / static_cast<double>(layout.group_size())));
    errors.sum += sum;
  }
  return errors;
}

}  // namespace

double weight_sensitivity(const ConstantValue& weight, const std::vector<size_t>& reduction_axes, ThreadPool& threads,
                          WeightSensitivity kind) {
  WeightLayout layout = weight_layout(weight.shape(), reduction_axes, -1, {});
  size_t per_block = layout.columns * layout.group_size();
  size_t step = weight.is_lazy() ? std::max<size_t>(8, kLazyChunk / per_block) : layout.blocks;
  Errors total;
  for (size_t begin = 0; begin < layout.blocks; begin += step) {
    size_t end = std::min(begin + step, layout.blocks);
    WeightReader reader(weight, begin * per_block, (end - begin) * per_block);
    auto batches = group_batches(layout, begin, end);
    std::vector<Errors> errors(batches.size());
    threads.parallel_for(batches.size(), kBatchesPerTask, [&](size_t first, size_t last) {
      for (size_t i = first; i < last; ++i) errors[i] = measure(reader, layout, batches[i]);
    });
    for (const Errors& part : errors) total.largest = std::max(total.largest, part.largest), total.sum += part.sum;
  }
  if (kind == WeightSensitivity::norm) return std::sqrt(total.sum);
  return 1.0 / (static_cast<double>(total.largest) + epsilon_of(weight.type(), kind));
}

}  // namespace nibble
