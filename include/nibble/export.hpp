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
  /// Write openvino_tokenizer.xml and openvino_detokenizer.xml too, for OpenVINO GenAI. A tokenizer that no such files can be made of is a
  /// note in the report.
  bool convert_tokenizer = true;
  /// Goes on with what an export of the same model with the same options has written before it was killed, cancelled or out of space; all
  /// of it is checked. Where nothing or something else is there, begins from the start. Cancelled, keeps what is written for the next run.
  bool resume = false;
};

struct ExportReport : CompressionDetails {
  std::string model_type;
  std::string format;                      ///< what was applied: "fp16", "int4_asym, group size 128", ...
  uint64_t parameters = 0;                 ///< elements of all weights
  uint64_t weight_bytes = 0;               ///< size of openvino_model.bin
  double bits_per_weight = 0;              ///< of the weights, scales and zero points included
  std::map<std::string, uint64_t> layers;  ///< number of weights by precision
  std::vector<std::string> notes;          ///< what was chosen where the options left it open, and why
  uint64_t kept_bytes = 0;                 ///< of the weights: what an earlier run had written
  double seconds = 0;
};

/// Exports a Hugging Face directory or a GGUF file to an OpenVINO IR directory: openvino_model.xml and .bin, configs, tokenizer files and
/// chat template. `output` must not exist or be empty, and appears whole or not at all: it is made in OUTPUT.partial, which a process that
/// is killed leaves behind for ExportOptions::resume or for the next export to remove. Weights are streamed. Throws Error; cancelled
/// through `progress`. Thread-safe.
ExportReport export_model(const std::filesystem::path& model, const std::filesystem::path& output, const ExportOptions& options,
                          Context& context, Progress* progress = nullptr);

/// The model families (config.json's model_type) that can be exported.
std::vector<std::string> supported_model_types();

}  // namespace nibble
