#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "calibrate/lockstep_calibration.hpp"
#include "calibrate/sample_dependence.hpp"
#include "compress/layer_copy.hpp"

namespace nibble {

/// Other versions of a layer's weight to try.
struct WeightTrial {
  Node* layer = nullptr;
  size_t versions = 0;
  /// The layer by itself with version `index`.
  std::function<LayerCopy(size_t index)> make;
};

/// What versions of a weight do.
struct TrialOutcome {
  /// By version: mean square of what the layer's outputs change by. Outputs of products are summed in f32.
  std::vector<double> errors;
  /// KL divergence of the next token's distribution, in nats, from the model's own when the layer has version 0: mean over places.
  double divergence = 0;
};

struct TrialOptions {
  size_t branched_samples = 1;  ///< the first samples, which are followed to the end for each layer; counted out for small models
  LockstepOptions lockstep = {};
};

/// Whether what versions of a layer's weight do can be tried: the layer has one, and reads what depends on the tokens.
bool can_be_tried(const Node& layer, const SampleDependence& dependence);

/// Runs samples through a language model in lockstep. At each layer its versions are tried on what it reads; the outputs of version 0 for
/// the first samples branch off and go through the rest of the model beside all others, up to the logits, where their divergence is taken.
/// So one pass tells of each layer what an error of its own does to the result. Layers that cannot be tried have no entry: those whose
/// inputs do not depend on the tokens (tables of positions). The graph is not changed. Results do not depend on the number of threads.
/// Throws what LockstepCalibration::run() throws, and Error{unsupported} for a model without logits.
std::unordered_map<const Node*, TrialOutcome> try_weights(Graph& graph, const std::vector<std::vector<int64_t>>& samples,
                                                          const std::vector<WeightTrial>& trials, const TrialOptions& options,
                                                          Context& context, Progress* progress);

}  // namespace nibble
