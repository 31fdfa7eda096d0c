#include "compress/weight_compression.hpp"

#include <numeric>

#include "base/fail.hpp"
#include "compress/compression_rt_info.hpp"
#include "compress/data_aware_methods.hpp"
#include "compress/decompression.hpp"
#include "compress/ignored_scope.hpp"
#include "compress/sensitivity.hpp"
#include "compress/weight_task.hpp"

namespace nibble {

namespace {

/// An adapter as NNCF stores it: int8_asym with a scale along the layer's own reduction axis.
std::shared_ptr<const WeightTask> adapter_task(const Tensor& adapter, const std::vector<size_t>& reduction_axes, std::string name) {
  auto task = std::make_shared<WeightTask>();
  task->name = std::move(name);
  task->weight = adapter;
  task->layout = weight_layout(adapter.shape(), reduction_axes, -1, task->name);
  task->rule = {.mode = CompressWeightsMode::int8_asym, .group_size = task->layout.group_size(), .large = adapter.size() >= kLargeWeight};
  return task;
}

/// One call of compress_weights, step by step.
class Compressor {
 public:
  Compressor(Graph& graph, const WeightCompression& options, Context& context, Progress* progress, Calibration* calibration)
      : graph_(graph),
        options_(options),
        plan_(plan_compression(options, calibration != nullptr)),
        context_(context),
        progress_(progress),
        calibration_(calibration),
        levels_(levels_of(options)) {}

  CompressionReport run();

 private:
  void choose();
  void collect();
  double score(const AssignedWeight& weight) const;
  void rank();
  WeightWork make_work(const AssignedWeight& weight) const;
  void prepare();
  void apply_methods(GraphEdits& edits);
  WeightReport report(const WeightWork& work) const;
  CompressionReport rewrite();
  void add_adapters(Decompression& decompression, const WeightWork& work) const;

  Graph& graph_;
  const WeightCompression& options_;
  CompressionPlan plan_;
  Context& context_;
  Progress* progress_;
  Calibration* calibration_;
  ModeLevels levels_;
  PrecisionAssignment assignment_;
  std::vector<AwqTarget> awq_targets_;
  StatisticsByLayer statistics_;
  std::vector<WeightWork> works_;
  std::vector<uint64_t> original_bytes_;
};

/// Precisions but for the ratio, and what may become a target of AWQ.
void Compressor::choose() {
  LayerOrder order = layer_order(graph_);
  auto ignored = ignored_nodes(options_.ignored_scope, order.nodes);
  auto layers = weighted_layers(order);
  assignment_ = assign_precisions(layers, ignored, plan_, levels_.codebook ? levels_.codebook.size() : 0);
  if (options_.assigned) apply_assigned(assignment_, *options_.assigned);
  if (plan_.awq) awq_targets_ = find_awq_targets(layers, assignment_.weights, levels_.codebook.size());
}

void Compressor::collect() {
  bool sensitivity = plan_.ranks_by_data(), means = plan_.needs_all_means();
  std::vector<StatisticsRequest> requests;
  auto add = [&](const WeightedLayer& layer, bool means_of_layer, bool sensitivity_of_layer) {
    size_t input = 1 - std::min<size_t>(layer.port, 1);
    requests.push_back({layer.layer, input, is_stacked(layer), means_of_layer && reads_tokens(layer), sensitivity_of_layer});
  };
  if (sensitivity || means)
    for (size_t i : assignment_.chosen)
      if (const WeightedLayer& layer = assignment_.weights[i].layer; layer.kind == LayerKind::matmul) add(layer, means, sensitivity);
  if (plan_.awq_takes_data())
    for (const AwqTarget& target : awq_targets_) {
      add(assignment_.weights[target.weight].layer, true, false);
      if (target.previous) add(*target.previous, true, false);
    }
  if (!requests.empty()) statistics_ = collect_statistics(graph_, *calibration_, requests, plan_, context_, progress_);
}

double Compressor::score(const AssignedWeight& weight) const {
  const WeightedLayer& layer = weight.layer;
  auto kind = WeightSensitivity::inverse_error;
  double activation = 1;
  if (plan_.ranks_by_data()) {
    if (layer.kind == LayerKind::embedding) return 0;
    kind = plan_.sensitivity_metric == SensitivityMetric::hessian_input_activation ? WeightSensitivity::norm
                                                                                   : WeightSensitivity::inverse_error_with_data;
    activation = statistics_.at(layer.layer).sensitivity;
  }
  return activation * weight_sensitivity(layer.constant->constant(), layer.reduction_axes, context_.threads(), kind);
}

void Compressor::rank() {
  if (plan_.ratio < 1 && !assignment_.chosen.empty()) {
    std::vector<double> scores;
    if (progress_) progress_->begin("Measuring the sensitivity of weights", assignment_.chosen.size(), "weights");
    for (size_t i : assignment_.chosen) {
      if (progress_ && progress_->cancelled()) fail(ErrorKind::cancelled, "weight compression was cancelled");
      scores.push_back(score(assignment_.weights[i]));
      if (progress_) progress_->advance(1);
    }
    if (progress_) progress_->end();
    apply_ratio(assignment_, scores, plan_);
  }
  check_group_sizes(assignment_, plan_.group_size);
}

WeightWork Compressor::make_work(const AssignedWeight& weight) const {
  WeightWork work{.weight = weight, .task = nullptr, .layout = {}, .adapters = {}};
  if (!weight.config) return work;
  const Node& constant = *weight.layer.constant;
  work.task = make_weight_task(constant, weight.layer.reduction_axes, *weight.config, levels_);
  if (weight.layer.kind == LayerKind::matmul && has_few_bits(weight.config->mode, levels_.codebook.size()))
    work.layout = matrix_layout(constant.constant().shape(), weight.layer.reduction_axes);
  return work;
}

/// Everything that can be refused is, before the graph changes.
void Compressor::prepare() {
  for (const AssignedWeight& weight : assignment_.weights) {
    works_.push_back(make_work(weight));
    original_bytes_.push_back(weight.layer.constant->constant().byte_size());
  }
  std::erase_if(awq_targets_, [&](const AwqTarget& target) { return !works_[target.weight].layout; });
}

void Compressor::apply_methods(GraphEdits& edits) {
  DataAwareMethods methods(graph_, plan_, works_, edits, context_, progress_);
  methods.check();
  if (!awq_targets_.empty()) methods.apply_awq(awq_targets_, statistics_);
  for (WeightWork& work : works_)
    if (work.task) work.task->weight = work.weight.layer.constant->constant();
  if (plan_.needs_all_means()) methods.estimate(statistics_, levels_.codebook);
  if (plan_.gptq) methods.run_gptq(*calibration_);
}

WeightReport Compressor::report(const WeightWork& work) const {
  const AssignedWeight& weight = work.weight;
  uint64_t original = original_bytes_[static_cast<size_t>(&work - works_.data())];
  uint64_t bytes = work.task ? compressed_bytes(*work.task) : original;
  if (work.adapters)
    for (const Tensor* adapter : {&work.adapters->a, &work.adapters->b}) {
      bool int8 = plan_.advanced.lora_correction_params.use_int8_adapters;
      bytes += int8 ? compressed_bytes(*adapter_task(*adapter, weight.layer.reduction_axes, {})) : adapter->byte_size();
    }
  return {.name = weight.layer.constant->name(),
          .layer = weight.layer.layer->name(),
          .config = weight.config,
          .ratio_defining = weight.ratio_defining,
          .elements = weight.elements,
          .original_bytes = original,
          .bytes = bytes};
}

void Compressor::add_adapters(Decompression& decompression, const WeightWork& work) const {
  const WeightedLayer& layer = work.weight.layer;
  bool int8 = plan_.advanced.lora_correction_params.use_int8_adapters;
  auto make = [&](const Tensor& weight, const char* suffix) {
    return Decompression::Adapter{weight, int8 ? adapter_task(weight, layer.reduction_axes, layer.layer->name() + suffix) : nullptr};
  };
  decompression.add_adapters(*layer.layer, 0, make(work.adapters->a, "_lora_A"), make(work.adapters->b, "_lora_B"));
}

CompressionReport Compressor::rewrite() {
  CompressionReport result;
  Decompression decompression(graph_);
  for (const WeightWork& work : works_) result.weights.push_back(report(work));
  for (const WeightWork& work : works_) {
    if (work.task) decompression.replace(*work.weight.layer.constant, work.weight.layer.port, work.task);
    if (work.adapters) add_adapters(decompression, work);
  }
  graph_.remove_unused();
  write_compression_rt_info(graph_.rt_info(), options_, plan_);
  return result;
}

CompressionReport Compressor::run() {
  if (calibration_ && calibration_->sample_count() == 0)
    fail(ErrorKind::invalid_argument, "the calibration dataset is empty: give samples");
  choose();
  collect();
  rank();
  prepare();
  GraphEdits edits(graph_);
  apply_methods(edits);
  edits.keep();
  return rewrite();
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

CompressionReport compress_weights(Graph& graph, const WeightCompression& options, Context& context, Progress* progress,
                                   Calibration* calibration) {
  return Compressor(graph, options, context, progress, calibration).run();
}

}  // namespace nibble
