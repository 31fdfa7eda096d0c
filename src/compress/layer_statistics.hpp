#pragma once

#include <memory>
#include <span>
#include <unordered_map>

#include "compress/activation_statistics.hpp"
#include "compress/compression_options.hpp"
#include "graph/graph.hpp"
#include "nibble/context.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// What is to be known of what a layer reads.
struct StatisticsRequest {
  Node* layer = nullptr;
  size_t input = 0;      ///< the layer's input that is not its weight
  bool stacked = false;  ///< its weight and its input have three axes: one matrix per expert
  bool means = false;
  bool sensitivity = false;
};

struct LayerStatistics {
  std::shared_ptr<ActivationStatistics> means;  ///< shared by layers that read the same value
  double sensitivity = 0;
};

using StatisticsByLayer = std::unordered_map<const Node*, LayerStatistics>;

/// Runs the calibration samples once through the graph as it is. Of means only what the plan's methods take is kept. Throws what the
/// calibration throws, Error{cancelled}.
StatisticsByLayer collect_statistics(Graph& graph, Calibration& calibration, std::span<const StatisticsRequest> requests,
                                     const CompressionPlan& plan, Context& context, Progress* progress);

/// Progress over layers that ends with its scope; may be without a receiver.
class LayerProgress {
 public:
  LayerProgress(Progress* progress, std::string_view stage, size_t total, std::string_view unit = "layers");
  ~LayerProgress();
  LayerProgress(const LayerProgress&) = delete;
  LayerProgress& operator=(const LayerProgress&) = delete;
  /// So much is done, of layers one. Throws Error{cancelled} when asked to stop.
  void advance(size_t units = 1);

 private:
  Progress* progress_;
};

}  // namespace nibble
