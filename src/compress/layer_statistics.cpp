#include "compress/layer_statistics.hpp"

#include <map>
#include <tuple>

#include "base/fail.hpp"

namespace nibble {

namespace {

/// The numbers of samples that the plan's methods take.
std::vector<size_t> subset_sizes(const CompressionPlan& plan) {
  std::vector<size_t> sizes;
  auto add = [&](int64_t size) { sizes.push_back(static_cast<size_t>(size)); };
  if (plan.awq_takes_data()) add(plan.advanced.awq_params.subset_size);
  if (plan.scale_estimation) add(plan.advanced.scale_estimation_params.subset_size);
  if (plan.lora_correction) add(plan.advanced.lora_correction_params.subset_size);
  if (plan.mode == CompressWeightsMode::adaptive_codebook) sizes.push_back(plan.subset_size);
  return sizes;
}

/// Statistics of values, each taken once though several layers read it.
class Collector {
 public:
  Collector(const CompressionPlan& plan, ThreadPool& threads) : plan_(plan), threads_(threads), sizes_(subset_sizes(plan)) {}

  LayerStatistics collect(const StatisticsRequest& request, const LayerInputs& inputs) {
    const std::string& name = request.layer->name();
    Value value = request.layer->input(request.input);
    LayerStatistics& known = known_[{value.node, value.index, request.stacked}];
    LayerStatistics result;
    if (request.means && !known.means) {
      known.means = collect_means(inputs, plan_.subset_size, request.stacked, name, threads_);
      known.means->keep(sizes_);
    }
    if (request.means) result.means = known.means;
    if (request.sensitivity)
      result.sensitivity = activation_sensitivity(inputs, plan_.subset_size, plan_.sensitivity_metric, name, threads_);
    return result;
  }

 private:
  const CompressionPlan& plan_;
  ThreadPool& threads_;
  std::vector<size_t> sizes_;
  std::map<std::tuple<const Node*, size_t, bool>, LayerStatistics> known_;
};

}  // namespace

LayerProgress::LayerProgress(Progress* progress, std::string_view stage, size_t layers) : progress_(progress) {
  if (progress_) progress_->begin(stage, layers, "layers");
}

LayerProgress::~LayerProgress() {
  if (progress_) progress_->end();
}

void LayerProgress::advance() {
  if (!progress_) return;
  progress_->advance(1);
  if (progress_->cancelled()) fail(ErrorKind::cancelled, "weight compression was cancelled");
}

StatisticsByLayer collect_statistics(Graph& graph, Calibration& calibration, std::span<const StatisticsRequest> requests,
                                     const CompressionPlan& plan, Context& context, Progress* progress) {
  std::unordered_map<const Node*, StatisticsRequest> by_layer;
  std::vector<Node*> layers;
  for (const StatisticsRequest& request : requests) {
    auto [found, fresh] = by_layer.emplace(request.layer, request);
    if (fresh) layers.push_back(request.layer);
    found->second.means = found->second.means || request.means;
    found->second.sensitivity = found->second.sensitivity || request.sensitivity;
  }
  Collector collector(plan, context.threads());
  StatisticsByLayer statistics;
  LayerProgress stage(progress, "Collecting statistics of activations", layers.size());
  calibration.run(graph, layers, [&](Node& layer, const LayerInputs& inputs) {
    statistics[&layer] = collector.collect(by_layer.at(&layer), inputs);
    stage.advance();
  });
  for (const Node* layer : layers)
    if (!statistics.count(layer)) fail(ErrorKind::invalid_argument, "the calibration did not reach layer '{}'", layer->name());
  return statistics;
}

}  // namespace nibble
