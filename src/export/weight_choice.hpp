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

/// Runs the data through the model that is being compressed. Belongs to what knows tokenizers and devices, which are above this folder.
using CalibrationFactory = std::function<std::unique_ptr<Calibration>(const CalibrationRequest&, Context&, Progress*)>;

/// What is to become of weights.
struct WeightChoice {
  FloatFormat floats = FloatFormat::stored;
  std::vector<WeightCompression> passes;   ///< one after the other; none: weights stay floats
  std::optional<CalibrationRequest> data;  ///< only where a pass has a use for it
  std::string description = "as in the checkpoint";
  std::vector<std::string> notes, warnings;  ///< what a user should know
};

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
};

/// Runs the passes over the graph. Throws as compress_weights does, and what the data throws.
CompressionSummary apply_choice(Graph& graph, const WeightChoice& choice, const CalibrationFactory& calibration, Context& context,
                                Progress* progress);

}  // namespace nibble
