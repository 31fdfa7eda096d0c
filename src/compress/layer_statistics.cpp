#include "compress/layer_statistics.hpp"

#include <map>
#include <optional>
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

/// What is known of a value, from the first layer of those that read it.
struct ValueStatistics {
  const Node *means_reader = nullptr, *sensitivity_reader = nullptr;
  std::optional<MeansCollector> collected_means;
  std::optional<SensitivityCollector> collected_sensitivity;
  LayerStatistics finished;
};

/// Statistics of values, each taken once though several layers read it.
class Collector {
 public:
  Collector(const CompressionPlan& plan, size_t samples, ThreadPool& threads)
      : plan_(plan), samples_(samples), threads_(threads), sizes_(subset_sizes(plan)) {}

  /// All samples of a layer, or a group of them.
  void add(const StatisticsRequest& request, const LayerInputs& inputs) {
    bool is_last = (seen_[request.layer] += inputs.count()) >= samples_;
    ValueStatistics& known = known_[key_of(request)];
    if (request.means && is_reader(known.means_reader, request)) add_means(known, request, inputs, is_last);
    if (request.sensitivity && is_reader(known.sensitivity_reader, request)) add_sensitivity(known, request, inputs, is_last);
  }

  /// Throws Error{invalid_argument} for a layer whose samples did not come.
  LayerStatistics statistics(const StatisticsRequest& request) const {
    auto seen = seen_.find(request.layer);
    if (seen == seen_.end() || seen->second < samples_)
      fail(ErrorKind::invalid_argument, "the calibration did not reach layer '{}'", request.layer->name());
    LayerStatistics result = known_.at(key_of(request)).finished;
    if (!request.means) result.means = nullptr;
    return result;
  }

 private:
  using Key = std::tuple<const Node*, size_t, bool>;

  static Key key_of(const StatisticsRequest& request) {
    Value value = request.layer->input(request.input);
    return {value.node, value.index, request.stacked};
  }

  static bool is_reader(const Node*& reader, const StatisticsRequest& request) {
    if (!reader) reader = request.layer;
    return reader == request.layer;
  }

  void add_means(ValueStatistics& known, const StatisticsRequest& request, const LayerInputs& inputs, bool is_last) {
    const std::string& name = request.layer->name();
    if (!known.collected_means) known.collected_means.emplace(plan_.subset_size, request.stacked);
    known.collected_means->add(inputs, name, threads_);
    if (!is_last) return;
    known.finished.means = known.collected_means->finish(name);
    known.finished.means->keep(sizes_);
    known.collected_means.reset();
  }

  void add_sensitivity(ValueStatistics& known, const StatisticsRequest& request, const LayerInputs& inputs, bool is_last) {
    const std::string& name = request.layer->name();
    if (!known.collected_sensitivity) known.collected_sensitivity.emplace(plan_.subset_size, plan_.sensitivity_metric);
    known.collected_sensitivity->add(inputs, name, threads_);
    if (is_last) known.finished.sensitivity = known.collected_sensitivity->average(name);
  }

  const CompressionPlan& plan_;
  size_t samples_;
  ThreadPool& threads_;
  std::vector<size_t> sizes_;
  std::map<Key, ValueStatistics> known_;
  std::unordered_map<const Node*, size_t> seen_;  // samples, by layer
};

}  // namespace

LayerProgress::LayerProgress(Progress* progress, std::string_view stage, size_t total, std::string_view unit) : progress_(progress) {
  if (progress_) progress_->begin(stage, total, unit);
}

LayerProgress::~LayerProgress() {
  if (progress_) progress_->end();
}

void LayerProgress::advance(size_t units) {
  if (!progress_) return;
  progress_->advance(units);
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
  Collector collector(plan, calibration.sample_count(), context.threads());
  LayerProgress stage(progress, "Collecting statistics of activations", layers.size() * calibration.sample_count(), "samples of layers");
  calibration.observe(graph, layers, [&](Node& layer, const LayerInputs& inputs) {
    collector.add(by_layer.at(&layer), inputs);
    stage.advance(inputs.count());
  });
  StatisticsByLayer statistics;
  for (const auto& [layer, request] : by_layer) statistics[layer] = collector.statistics(request);
  return statistics;
}

}  // namespace nibble
