#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nibble/evaluate.hpp"

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

}  // namespace nibble
