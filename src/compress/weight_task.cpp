#include "compress/weight_task.hpp"

#include <numeric>
#include <vector>

namespace nibble {

namespace {

constexpr uint64_t kAlignedFrom = 4096, kAlignment = 64;  // bytes: docs/formats/openvino-ir.md

/// Bytes of each constant that a weight becomes.
std::vector<uint64_t> constant_bytes(const WeightTask& task) {
  const WeightFormat& format = weight_format(task.rule.mode);
  size_t groups = task.layout.group_count();
  std::vector<uint64_t> bytes{packed_bytes(code_type(task), task.layout.size()), packed_bytes(format.scale, groups)};
  if (format.family == QuantizerFamily::asymmetric) bytes.push_back(packed_bytes(format.codes, groups));
  if (is_offset_symmetric(format.mode)) bytes.push_back(1);
  if (format.mode == CompressWeightsMode::nvfp4) bytes.push_back(sizeof(float));
  if (is_codebook(format.mode)) bytes.push_back(task.codebook.byte_size());
  return bytes;
}

}  // namespace

ModeLevels levels_of(const WeightCompression& options) {
  bool is_users = options.mode == CompressWeightsMode::codebook;
  bool is_adaptive = options.mode == CompressWeightsMode::adaptive_codebook;
  ModeLevels levels;
  if (is_codebook(options.mode)) levels.codebook = is_users || (is_adaptive && options.codebook) ? options.codebook : cb4_codebook();
  if (is_users || is_adaptive)
    levels.table = std::make_shared<const LevelTable>(codebook_levels(levels.codebook));
  else if (weight_format(options.mode).family == QuantizerFamily::levels)
    levels.table = {std::shared_ptr<const void>(), &standard_levels(options.mode)};  // static, so nothing owns it
  return levels;
}

std::shared_ptr<WeightTask> make_weight_task(const Node& constant, const std::vector<size_t>& reduction_axes, const WeightConfig& config,
                                             const ModeLevels& levels) {
  const ConstantValue& weight = constant.constant();
  auto task = std::make_shared<WeightTask>();
  task->name = constant.name();
  task->weight = weight;
  task->layout = weight_layout(weight.shape(), reduction_axes, config.group_size, constant.name());
  task->rule.mode = config.mode;
  task->rule.group_size = task->layout.group_size();
  task->rule.large = element_count(weight.shape()) >= kLargeWeight;
  if (is_codebook(config.mode)) task->codebook = levels.codebook;
  if (weight_format(config.mode).family == QuantizerFamily::levels) task->levels = levels.table, task->rule.levels = levels.table.get();
  return task;
}

uint64_t compressed_bytes(const WeightTask& task) {
  auto bytes = constant_bytes(task);
  return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
}

uint64_t aligned_bytes(const WeightTask& task) {
  uint64_t sum = 0;
  for (uint64_t bytes : constant_bytes(task)) sum += bytes < kAlignedFrom ? bytes : (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return sum;
}

}  // namespace nibble
