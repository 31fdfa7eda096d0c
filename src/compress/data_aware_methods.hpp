#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "compress/awq_targets.hpp"
#include "compress/graph_edits.hpp"
#include "compress/layer_statistics.hpp"
#include "compress/lora_correction.hpp"

namespace nibble {

/// A weight on its way to codes.
struct WeightWork {
  AssignedWeight weight;
  std::shared_ptr<WeightTask> task;  ///< nothing = stays float
  /// Few bits, and an ordinary MatMul: what the methods below apply to.
  std::optional<MatrixLayout> layout;
  std::optional<LoraAdapters> adapters;
};

/// Whether the layer's other input is [.., tokens, columns], in that order.
bool reads_tokens(const WeightedLayer& layer);
/// Whether the weight has one matrix per expert and its layer reads one too.
bool is_stacked(const WeightedLayer& layer);

/// The methods that change what a weight becomes beyond its own range: each sets parts of the works' tasks. What they change in the graph
/// goes through `edits`. For one thread; uses the context's.
class DataAwareMethods {
 public:
  DataAwareMethods(Graph& graph, const CompressionPlan& plan, std::vector<WeightWork>& works, GraphEdits& edits, Context& context,
                   Progress* progress)
      : graph_(graph), plan_(plan), works_(works), edits_(edits), context_(context), progress_(progress) {}

  /// Throws Error{unsupported} where a method cannot take a layer.
  void check() const;
  /// Scales the columns of the targets' weights and divides what they read, by the statistics where the plan has them; updates those.
  void apply_awq(std::span<const AwqTarget> targets, StatisticsByLayer& statistics);
  /// Codebooks, scales and adapters from statistics, layer by layer; uses the statistics up.
  void estimate(StatisticsByLayer& statistics, const Tensor& first_codebook);
  /// Codes by GPTQ, each layer with inputs made by the layers before it as they are compressed.
  void run_gptq(Calibration& calibration);

 private:
  void scale_weight(const AwqTarget& target, StatisticsByLayer& statistics);
  void divide_input(const AwqTarget& target, const std::vector<float>& divisors);
  void estimate_layer(WeightWork& work, const ActivationStatistics& inputs, const Tensor& first_codebook);
  void quantize(WeightWork& work, const LayerInputs& inputs);

  Graph& graph_;
  const CompressionPlan& plan_;
  std::vector<WeightWork>& works_;
  GraphEdits& edits_;
  Context& context_;
  Progress* progress_;
};

}  // namespace nibble
