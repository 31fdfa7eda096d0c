#pragma once

#include <memory>

#include "device/device.hpp"
#include "graph/graph.hpp"
#include "nibble/evaluate.hpp"

namespace nibble {

struct LanguageModel::Impl {
  std::shared_ptr<Context> context;  ///< empty for one that outlives the model anyway
  std::shared_ptr<const CompiledModel> model;
  std::unique_ptr<InferRequest> request;
};

/// A graph on the default device. `context` must outlive the result.
LanguageModel make_language_model(Graph graph, const Properties& properties, Context& context);

}  // namespace nibble
