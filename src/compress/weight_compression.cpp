#include "compress/weight_compression.hpp"

#include <numeric>

#include "compress/compression_rt_info.hpp"
#include "compress/decompression.hpp"
#include "compress/ignored_scope.hpp"
#include "compress/precision_assignment.hpp"

namespace nibble {

namespace {

std::shared_ptr<const LevelTable> level_table(const WeightCompression& options) {
  if (options.mode == CompressWeightsMode::codebook) return std::make_shared<const LevelTable>(codebook_levels(options.codebook));
  if (weight_format(options.mode).family == QuantizerFamily::levels)
    return {std::shared_ptr<const void>(), &standard_levels(options.mode)};  // static, so nothing owns it
  return nullptr;
}

std::shared_ptr<const WeightTask> make_task(const AssignedWeight& weight, const std::shared_ptr<const LevelTable>& levels) {
  const Node& constant = *weight.layer.constant;
  auto task = std::make_shared<WeightTask>();
  task->weight = constant.constant();
  task->layout = weight_layout(constant.constant().shape(), weight.layer.reduction_axes, weight.config->group_size, constant.name());
  task->rule.mode = weight.config->mode;
  task->rule.group_size = task->layout.group_size();
  task->rule.large = weight.elements >= kLargeWeight;
  if (weight_format(weight.config->mode).family == QuantizerFamily::levels) {
    task->levels = levels;
    task->rule.levels = levels.get();
  }
  return task;
}

uint64_t compressed_bytes(const WeightTask& task, const Tensor& codebook) {
  const WeightFormat& format = weight_format(task.rule.mode);
  size_t groups = task.layout.group_count();
  uint64_t bytes = packed_bytes(code_type(task), task.layout.size()) + packed_bytes(format.scale, groups);
  if (format.family == QuantizerFamily::asymmetric) bytes += packed_bytes(format.codes, groups);
  if (is_offset_symmetric(format.mode)) bytes += 1;
  if (format.mode == CompressWeightsMode::nvfp4) bytes += sizeof(float);
  if (is_codebook(format.mode)) bytes += codebook.byte_size();
  return bytes;
}

WeightReport report(const AssignedWeight& weight, const WeightTask* task, const Tensor& codebook) {
  const Node& constant = *weight.layer.constant;
  uint64_t original = constant.constant().byte_size();
  return {.name = constant.name(),
          .layer = weight.layer.layer->name(),
          .config = weight.config,
          .ratio_defining = weight.ratio_defining,
          .elements = weight.elements,
          .original_bytes = original,
          .bytes = task ? compressed_bytes(*task, codebook) : original};
}

}  // namespace

uint64_t CompressionReport::original_bytes() const {
  return std::accumulate(weights.begin(), weights.end(), uint64_t{0}, [](uint64_t sum, const auto& w) { return sum + w.original_bytes; });
}

uint64_t CompressionReport::bytes() const {
  return std::accumulate(weights.begin(), weights.end(), uint64_t{0}, [](uint64_t sum, const auto& w) { return sum + w.bytes; });
}

double CompressionReport::bits_per_weight() const {
  uint64_t elements = 0;
  for (const auto& weight : weights) elements += weight.elements;
  return elements ? 8.0 * static_cast<double>(bytes()) / static_cast<double>(elements) : 0.0;
}

CompressionReport compress_weights(Graph& graph, const WeightCompression& options, Context& context, Progress* progress) {
  CompressionPlan plan = plan_compression(options);
  auto levels = level_table(options);
  Tensor codebook = options.mode == CompressWeightsMode::cb4 ? cb4_codebook() : options.codebook;
  LayerOrder order = layer_order(graph);
  auto ignored = ignored_nodes(options.ignored_scope, order.nodes);
  auto weights = assign_precisions(weighted_layers(order), ignored, plan, codebook ? codebook.size() : 0, context, progress);

  // Everything that can be refused is, before the graph changes.
  CompressionReport result;
  std::vector<std::shared_ptr<const WeightTask>> tasks;
  for (const AssignedWeight& weight : weights) {
    tasks.push_back(weight.config ? make_task(weight, levels) : nullptr);
    result.weights.push_back(report(weight, tasks.back().get(), codebook));
  }
  Decompression decompression(graph);
  for (size_t i = 0; i < weights.size(); ++i)
    if (tasks[i]) decompression.replace(*weights[i].layer.constant, weights[i].layer.port, tasks[i], codebook);
  graph.remove_unused();
  write_compression_rt_info(graph.rt_info(), options, plan);
  return result;
}

}  // namespace nibble
