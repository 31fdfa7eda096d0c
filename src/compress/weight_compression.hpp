#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compress/calibration.hpp"
#include "compress/compressed_weight.hpp"
#include "compress/compression_options.hpp"
#include "graph/graph.hpp"
#include "nibble/context.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// What became of one weight.
struct WeightReport {
  std::string name;                    ///< of the constant
  std::string layer;                   ///< that reads it
  std::optional<WeightConfig> config;  ///< nothing = it stays as it was
  bool ratio_defining = false;         ///< counts for WeightCompression::ratio
  size_t elements = 0;
  uint64_t original_bytes = 0;
  uint64_t bytes = 0;  ///< codes, scales, zero points, tables and adapters
};

struct CompressionReport {
  std::vector<WeightReport> weights;  ///< every candidate, in NNCF's order

  uint64_t original_bytes() const;
  uint64_t bytes() const;
  /// Average over all candidates; 0 when there are none.
  double bits_per_weight() const;
};

/// Replaces weights of MatMul, Gather and Convolution layers by compressed ones and the nodes that decompress them, and notes it in the
/// model's rt_info; constants, names and graph are those of nncf.compress_weights 3.4. The new constants are lazy: they read slices of the
/// old ones when they are written or used, so this takes little time unless ratio < 1 or a method looks at weights and activations. Then
/// `calibration` runs: once for statistics, and for gptq a second time, layer by layer as they are compressed. Between layers only scales,
/// zero points, gptq's codes and the means of activations are kept. Uses the context's threads; `progress` reports the passes.
///
/// `calibration` says that there is a dataset; without one (nullptr) methods that need it are refused.
///
/// Throws Error{invalid_argument} for options that contradict each other or the model, {unsupported} where NNCF cannot group a
/// weight, {corrupt} for calibration inputs that are not finite, {cancelled}, and what the calibration throws; the graph is then unchanged.
/// Weights that are infinite or not a number are found when they are read, at the latest when they are written: {corrupt}, with their name.
CompressionReport compress_weights(Graph& graph, const WeightCompression& options, Context& context, Progress* progress = nullptr,
                                   Calibration* calibration = nullptr);

}  // namespace nibble
