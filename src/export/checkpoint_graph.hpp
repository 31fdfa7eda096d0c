#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "export/model_weights.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// How a checkpoint becomes a graph.
struct CheckpointOptions {
  FloatFormat format = FloatFormat::stored;
  std::string family = {};  ///< model_type to read config.json as; empty: its own, and keys that are not understood are refused
  std::vector<std::filesystem::path> adapters = {};  ///< directories of LoRA adapters, merged in this order
};

/// What became of a checkpoint.
struct CheckpointSummary {
  std::string method;                    ///< "gptq", ...; empty: the checkpoint is not quantized
  WeightCounts weights;                  ///< of TakenWeights
  std::vector<std::string> notes;        ///< what a user should know
  std::vector<std::string> unused = {};  ///< tensors that the model has no use for
  std::shared_ptr<const WeightSource> source = {};
  std::shared_ptr<const WeightFindings> findings = {};  ///< complete when the weights have been made
};

/// The graph of a Hugging Face directory or of a GGUF file; its weights stay lazy views of the checkpoint, in codes where it is quantized.
/// Throws Error{unsupported} for families, quantized formats and adapters that Nibble does not read.
Graph build_checkpoint_graph(const std::filesystem::path& directory, const CheckpointOptions& options,
                             CheckpointSummary* summary = nullptr);
Graph build_checkpoint_graph(const std::filesystem::path& directory, FloatFormat format);

}  // namespace nibble
