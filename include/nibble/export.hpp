#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "nibble/compress.hpp"
#include "nibble/context.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// How a checkpoint is exported; names and defaults are optimum-cli's. Without a weight format, weights keep the checkpoint's own types, or
/// become int8 from a billion parameters on. What a checkpoint holds in codes (GPTQ, AWQ, ...) keeps them, unless the format is fp32 or
/// fp16; the other options are for the other weights.
struct ExportOptions : WeightOptions {
  ExportOptions() = default;
  std::string task = "auto";  ///< "auto", "text-generation" or "text-generation-with-past"
  /// Family that the model is taken for, whatever its model_type and unknown keys say; empty: its own.
  std::string family = {};
  /// Directories of LoRA adapters as PEFT saves them, merged into the weights in this order.
  std::vector<std::filesystem::path> adapters = {};
};

struct ExportReport {
  std::string model_type;
  std::string format;                      ///< what was applied: "fp16", "int4_asym, group size 128", ...
  uint64_t parameters = 0;                 ///< elements of all weights
  uint64_t weight_bytes = 0;               ///< size of openvino_model.bin
  double bits_per_weight = 0;              ///< of the weights, scales and zero points included
  std::map<std::string, uint64_t> layers;  ///< number of weights by precision
  std::vector<std::string> notes;          ///< what was chosen where the options left it open, and why
  double seconds = 0;
};

/// Exports a Hugging Face directory or a GGUF file to an OpenVINO IR directory: openvino_model.xml and .bin, configs, tokenizer files and
/// chat template. `output` must not exist or be empty, and appears whole or not at all. Weights are streamed.
/// Throws Error; cancelled through `progress`. Thread-safe.
ExportReport export_model(const std::filesystem::path& model, const std::filesystem::path& output, const ExportOptions& options,
                          Context& context, Progress* progress = nullptr);

/// The model families (config.json's model_type) that can be exported.
std::vector<std::string> supported_model_types();

}  // namespace nibble
