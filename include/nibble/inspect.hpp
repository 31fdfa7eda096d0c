#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "nibble/context.hpp"
#include "nibble/device.hpp"

namespace nibble {

/// The weights of one kind of layer.
struct WeightKind {
  std::string kind;                            ///< "embedding", "attention", "mlp", "head", "other"
  uint64_t elements = 0, bytes = 0;            ///< bytes include scales and zero points
  std::map<std::string, uint64_t> precisions;  ///< number of weights by stored element type
  double bits_per_weight() const { return elements ? 8.0 * static_cast<double>(bytes) / static_cast<double>(elements) : 0.0; }
};

struct TensorInfo {
  std::string name, type, shape;  ///< e.g. "input_ids", "i64", "?,?"
};

/// What a model is, without running it.
struct ModelInfo {
  std::string format;                    ///< "OpenVINO IR" or "Hugging Face checkpoint"
  std::string architecture;              ///< model_type of config.json; empty where there is none
  std::map<std::string, int64_t> sizes;  ///< hidden_size, num_hidden_layers, ... as config.json has them
  uint64_t parameters = 0, weight_bytes = 0;
  double bits_per_weight = 0;
  std::vector<WeightKind> weights;
  std::vector<TensorInfo> inputs, outputs;
  uint64_t layers = 0;  ///< nodes of the graph
  std::map<std::string, uint64_t> operations;
  uint64_t cache_elements_per_token = 0;  ///< elements of the KV cache for each token of a sequence
};

/// Opens what LLMPipeline opens. Throws Error.
ModelInfo inspect_model(const std::filesystem::path& path);

/// One line per layer of the graph, in order: type, name, inputs, type and shape.
std::string print_graph(const std::filesystem::path& path);

/// An operation that a device runs.
struct PlannedOperation {
  std::string kind;    ///< "Linear", "PagedAttention", ...
  std::string detail;  ///< shapes, types, kernel
  std::string node;    ///< of the graph
  bool unfused = false;
};

/// How a device runs a model.
struct ModelPlan {
  std::string device;
  std::vector<PlannedOperation> operations;  ///< in order
  uint64_t unfused = 0;                      ///< operations without a kernel of their own
  std::string obstacle;                      ///< why the model runs op by op, if it does
  std::string weights;                       ///< where the packed weights came from
  uint64_t weight_bytes = 0;                 ///< of the packed weights
};

/// Loads a model on a device and says what it will run. Throws Error{unsupported} for devices that do not plan.
ModelPlan plan_model(const std::filesystem::path& path, const std::string& device, const Properties& properties, Context& context);

}  // namespace nibble
