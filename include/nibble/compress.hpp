#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nibble/context.hpp"
#include "nibble/evaluate.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// Weights of one kind that are stored alike.
struct WeightRow {
  std::string kind;       ///< "embedding", "attention q", "mlp down", "experts", "router", "head", "norms and others", "alignment", ...
  std::string precision;  ///< "int4_asym, group size 64", "f16", ...; empty for alignment
  uint64_t count = 0, elements = 0;
  uint64_t bytes = 0;  ///< of the .bin, scales and zero points included; the bytes of all rows are its size
};

/// What running a model takes, in bytes. An estimate.
struct MemoryEstimate {
  int64_t context_length = 0;  ///< tokens
  uint64_t weights = 0;
  uint64_t kv_cache = 0;     ///< in the precision that the CPU device takes for such weights
  uint64_t activations = 0;  ///< of a prompt in the making
  uint64_t total() const { return weights + kv_cache + activations; }
};

/// One precision that a weight could have.
struct PrecisionOption {
  std::string precision;
  uint64_t bytes = 0;
  /// KL divergence that this weight alone brings, in nats per token, as measured with calibration data; nothing where it could not be.
  std::optional<double> loss;
};

/// What a search for precisions decided for one weight.
struct WeightDecision {
  std::string name;  ///< of the constant
  std::string kind;  ///< as in WeightRow
  std::string precision;
  uint64_t elements = 0, bytes = 0;
  std::optional<double> loss;            ///< of the chosen precision
  std::vector<PrecisionOption> options;  ///< the smallest first
  /// Loss that each byte more than the smallest precision takes away, and what each byte more would take away from here at best.
  double gain_per_byte = 0, next_gain_per_byte = 0;
  std::string reason;
};

/// A set of precisions that was tried as a whole.
struct PrecisionTrial {
  uint64_t bytes = 0;
  double predicted_kl = 0, measured_kl = 0;
};

/// How precisions were chosen by WeightOptions::budget_gb or max_kl.
struct PrecisionReport {
  std::optional<uint64_t> budget_bytes;
  std::optional<double> max_kl;
  uint64_t smallest_bytes = 0, bytes = 0;  ///< of the .bin: with the smallest precisions, and as chosen
  double predicted_kl = 0;                 ///< sum of the weights' losses
  /// Against the source on the part of the data that precisions were not chosen by, both computed in f32 by the default device.
  std::optional<double> measured_kl, top1_agreement;
  uint64_t measured_tokens = 0;
  std::string not_measured;            ///< why there is no measured KL
  std::vector<PrecisionTrial> trials;  ///< for max_kl: what was measured on the way
  std::vector<WeightDecision> weights;
  double seconds = 0;
};

/// What an export or a compression tells beside its own figures.
struct CompressionDetails {
  std::vector<WeightRow> rows;
  MemoryEstimate memory;
  std::optional<PrecisionReport> search;
  std::optional<Evaluation> evaluation;  ///< of WeightOptions::eval_text
  std::string evaluation_obstacle;       ///< why there is none though it was asked for
};

/// How weights are stored; names and defaults are optimum-cli's.
struct WeightOptions {
  /// "cpu", "gpu" or "npu": format, symmetry, group size and ratio that suit it best, instead of the options for these. Empty: none.
  std::string target;
  /// "fp32", "fp16", "int8", "int4", ...; unset: the checkpoint's own types, or int8 from a billion parameters on.
  std::optional<std::string> weight_format;
  bool sym = false;                           ///< symmetric codes (int8, int4)
  std::optional<int64_t> group_size;          ///< weights per scale; -1 = one scale per output channel; default 128 for int4
  std::string group_size_fallback = "error";  ///< "error", "ignore" or "adjust"
  std::optional<double> ratio;                ///< share of weights in the main format; the rest gets the backup precision
  bool all_layers = false;                    ///< embeddings and last layer too
  std::string backup_precision;               ///< "none", "int8_sym", "int8_asym"; empty = the format's default
  std::string sensitivity_metric;             ///< how layers are ranked when ratio < 1; empty = the default

  // Precisions by measurement (docs/compression.md): each weight gets one between weight_format (int4 unless given; finer groups, int8) and
  // what it is stored in. At most one of the two.
  std::optional<double> budget_gb;  ///< size of the .bin at most, in 10^9 bytes
  std::optional<double> max_kl;     ///< KL divergence from the source at most, in nats per token, as measured; the smallest .bin for it

  // Methods for formats of up to 4 bits. All but awq need data.
  bool awq = false;               ///< scales columns before they are quantized; better with data
  bool scale_estimation = false;  ///< chooses scales by the error of the layers' outputs
  bool gptq = false;              ///< quantizes column by column, each making up for those before
  bool lora_correction = false;   ///< adds low-rank adapters that make up for the error

  /// Data to look at: "auto" (a text that comes with Nibble), a file (.txt; .jsonl with {"text"}, {"messages"} or {"ids"} in each line), or
  /// the name of a dataset that is on this machine (docs/quantization.md). Empty: none.
  std::string dataset;
  std::optional<int64_t> num_samples;  ///< samples of the data; default 128
  std::optional<int64_t> seqlen;       ///< tokens of a sample; default 128, for some datasets another

  /// A text file: the result's perplexity on it, and its divergence from the source, as evaluate() has them. Empty: none.
  std::filesystem::path eval_text;

  /// Hub id whose default configuration "int4" without other options takes; empty: found in the model's own files.
  std::string model_id;
};

struct CompressReport : CompressionDetails {
  std::string format;                      ///< what was applied: "int4_asym, group size 128", ...
  uint64_t weight_bytes = 0;               ///< size of the new .bin
  uint64_t original_bytes = 0;             ///< of the .bin before
  double bits_per_weight = 0;              ///< average over the layers that could be compressed, scales and zero points included
  std::map<std::string, uint64_t> layers;  ///< number of weights by precision
  std::vector<std::string> notes;          ///< what was chosen where the options left it open, and why
  double seconds = 0;
};

/// Compresses the weights of an OpenVINO IR. `model`: a directory, whose other files are copied, or an .xml alone with its .bin. `output`
/// is a directory that must not exist or be empty, or, for an .xml, may be an .xml that does not exist. It appears whole or not at all.
/// Layers that are compressed already stay as they are, and so does the model's rt_info but for what the compression notes in it. Weights
/// are streamed. A weight format is needed, and fp16 and fp32 are none. Throws Error; cancelled through `progress`. Thread-safe.
CompressReport compress_model(const std::filesystem::path& model, const std::filesystem::path& output, const WeightOptions& options,
                              Context& context, Progress* progress = nullptr);

}  // namespace nibble
