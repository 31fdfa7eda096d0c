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
  std::string kind;                                ///< "embedding", "attention", "mlp", "head", "other"
  uint64_t elements = 0, bytes = 0;                ///< bytes include scales and zero points
  uint64_t active_elements = 0, active_bytes = 0;  ///< those that a token needs: of a mixture of experts the chosen ones
  std::map<std::string, uint64_t> precisions;      ///< number of weights by stored element type
  double bits_per_weight() const { return elements ? 8.0 * static_cast<double>(bytes) / static_cast<double>(elements) : 0.0; }
};

/// Weights of one kind that are stored alike.
struct WeightFormatInfo {
  std::string kind;               ///< as above
  std::string codes;              ///< element type: "i4", "u8", "f16", ...
  bool is_compressed = false;     ///< has scales
  bool has_zero_points = false;   ///< asymmetric
  bool has_codebook = false;      ///< codes are indices into a table
  int64_t group_size = -1;        ///< weights that share a scale; -1: those of an output channel
  uint64_t count = 0, bytes = 0;  ///< bytes include scales and zero points
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
  std::vector<WeightFormatInfo> formats;
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

/// Something to know before a model runs on a device.
struct Finding {
  enum class Severity {
    note,
    warning,   ///< it runs, but slowly, less accurately or not everywhere
    obstacle,  ///< it does not run
  };
  Severity severity = Severity::note;
  std::string text;
  std::string remedy;  ///< what to do about it; may be empty
};

struct DeviceDiagnosis {
  std::string device;  ///< "CPU", "NPU", "GPU"
  std::vector<Finding> findings;
  Finding::Severity worst() const;
};

/// What stands between a model and each device.
struct ModelDiagnosis {
  uint64_t weight_bytes = 0, cache_bytes = 0;  ///< the cache for `context_length` tokens, as the CPU keeps it
  uint64_t usable_memory = 0;                  ///< of this process, in bytes
  int64_t context_length = 0;
  std::vector<DeviceDiagnosis> devices;
};

/// Looks at a model's files without running it. A `context_length` of 0 is the model's own, at most 4096. Throws Error.
ModelDiagnosis diagnose_model(const std::filesystem::path& path, int64_t context_length = 0);
/// What `info` means for each device, on a machine with so much memory. For programs that know both.
ModelDiagnosis diagnose_model(const ModelInfo& info, int64_t context_length, uint64_t usable_memory);

/// What is here of a device, and what is missing.
struct DevicePresence {
  std::string device, state;  ///< "NPU", "no /dev/accel device: ..."
  bool usable = false;        ///< by this version of Nibble
};
std::vector<DevicePresence> find_devices();

}  // namespace nibble
