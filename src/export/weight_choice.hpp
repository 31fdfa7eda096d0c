#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compress/calibration.hpp"
#include "compress/compression_options.hpp"
#include "compress/weight_compression.hpp"
#include "export/model_weights.hpp"
#include "nibble/compress.hpp"

namespace nibble {

/// The data that a compression looks at.
struct CalibrationRequest {
  std::string dataset;
  /// The dataset was nobody's wish: without it the built-in text will do.
  bool or_builtin = false;
  std::optional<size_t> num_samples;  ///< unset: 128 at most
  std::optional<size_t> length;       ///< tokens of a sample; unset: as usual for the dataset
  /// Computed in f32 even where bf16 is faster. GPTQ sums up products of activations and is a little better for it; other methods are not.
  bool in_f32 = false;
};

/// Precisions that are to be chosen by measurement.
struct SearchRequest {
  std::optional<uint64_t> budget_bytes;
  std::optional<double> max_kl;
  CompressWeightsMode int8 = CompressWeightsMode::int8_asym;
  bool floats = true;              ///< weights may stay as they are
  CalibrationRequest data;         ///< that they are chosen and measured by
  bool methods_take_data = false;  ///< the pass has methods that look at it
};

/// What is to become of weights.
struct WeightChoice {
  FloatFormat floats = FloatFormat::stored;
  std::vector<WeightCompression> passes;   ///< one after the other; none: weights stay floats
  std::optional<CalibrationRequest> data;  ///< only where a pass or the search has a use for it
  std::optional<SearchRequest> search;     ///< by which the only pass gets its precisions
  std::string description = "as in the checkpoint";
  std::vector<std::string> notes, warnings;  ///< what a user should know
};

/// A search for precisions starts at int4 unless the options say otherwise.
template <class Options>
Options with_lowest_format(Options options) {
  if ((options.budget_gb || options.max_kl) && !options.weight_format && options.target.empty()) options.weight_format = "int4";
  return options;
}

/// Checks the options and fills in what they leave open. `model_ids` are names that the model may have, the most certain first: "int4"
/// without other options is the default configuration of the first that has one. Throws Error{invalid_argument} for options that
/// contradict each other.
WeightChoice choose_weights(const WeightOptions& options, std::span<const std::string> model_ids);

/// What options.target asks for, for the model that `graph` holds; a note says what that is and why.
WeightChoice choose_by_recipe(const WeightOptions& options, const Graph& graph);

/// What the compression did.
struct CompressionSummary {
  std::map<std::string, uint64_t> layers;  ///< number of weights by precision; "float" for those that stay
  uint64_t elements = 0, bytes = 0;        ///< of all that could be compressed
  std::optional<PrecisionReport> search;
};

/// Runs the data through the model that is being compressed. Belongs to what knows tokenizers and devices, which are above this folder.
using CalibrationFactory = std::function<std::unique_ptr<Calibration>(const CalibrationRequest&, Context&, Progress*)>;

/// Chooses precisions for the only pass of `choice`, by choice.search, and compresses the graph with them.
using PrecisionSearcher =
    std::function<CompressionReport(Graph& graph, const WeightChoice& choice, PrecisionReport& report, Context&, Progress*)>;

/// What belongs to folders above this one.
struct CompressionTools {
  CalibrationFactory calibration;
  PrecisionSearcher search;
};

/// Runs the passes over the graph. Throws as compress_weights does, and what the tools throw.
CompressionSummary apply_choice(Graph& graph, const WeightChoice& choice, const CompressionTools& tools, Context& context,
                                Progress* progress);

}  // namespace nibble
