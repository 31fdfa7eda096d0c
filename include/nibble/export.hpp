#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nibble/context.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// How a checkpoint is exported; names and defaults are optimum-cli's.
struct ExportOptions {
  std::string task = "auto";  ///< "auto", "text-generation" or "text-generation-with-past"
  /// "fp32", "fp16", "int8", "int4", ...; unset: the checkpoint's own types, or int8 from a billion parameters on.
  std::optional<std::string> weight_format;
  bool sym = false;                           ///< symmetric codes (int8, int4)
  std::optional<int64_t> group_size;          ///< weights per scale; -1 = one scale per output channel; default 128 for int4
  std::string group_size_fallback = "error";  ///< "error", "ignore" or "adjust"
  std::optional<double> ratio;                ///< share of weights in the main format; the rest gets the backup precision
  bool all_layers = false;                    ///< embeddings and last layer too
  std::string backup_precision;               ///< "none", "int8_sym", "int8_asym"; empty = the format's default
  std::string sensitivity_metric;             ///< how layers are ranked when ratio < 1; empty = the default
};

struct ExportReport {
  std::string model_type;
  std::string format;                      ///< what was applied: "fp16", "int4_asym, group size 128", ...
  uint64_t parameters = 0;                 ///< elements of all weights
  uint64_t weight_bytes = 0;               ///< size of openvino_model.bin
  double bits_per_weight = 0;              ///< of the weights, scales and zero points included
  std::map<std::string, uint64_t> layers;  ///< number of weights by precision
  double seconds = 0;
};

/// Exports a Hugging Face directory to an OpenVINO IR directory: openvino_model.xml and .bin, configs, tokenizer files and
/// chat template. `output` must not exist or be empty, and appears whole or not at all. Weights are streamed.
/// Throws Error; cancelled through `progress`. Thread-safe.
ExportReport export_model(const std::filesystem::path& model, const std::filesystem::path& output, const ExportOptions& options,
                          Context& context, Progress* progress = nullptr);

/// The model families (config.json's model_type) that can be exported.
std::vector<std::string> supported_model_types();

}  // namespace nibble
