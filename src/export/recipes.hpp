#pragma once

#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "nibble/compress.hpp"

namespace nibble {

/// What suits a device best.
struct Recipe {
  WeightOptions options;
  std::string equivalent;            ///< the same as options of the command line
  std::vector<std::string> reasons;  ///< a sentence each
};

/// For the device that `options` names ("cpu", "gpu" or "npu") and the model that `graph` holds; data and methods stay as the options have
/// them. Throws Error{invalid_argument} for other devices and where the options also say what the recipe decides.
Recipe recipe_for(const WeightOptions& options, const Graph& graph);

}  // namespace nibble
