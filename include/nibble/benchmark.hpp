#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "nibble/context.hpp"
#include "nibble/device.hpp"
#include "nibble/progress.hpp"
#include "nibble/system.hpp"

namespace nibble {

struct BenchmarkOptions {
  std::vector<int64_t> prompt_tokens{512};
  int64_t new_tokens = 64;
  std::vector<int64_t> depths{0};  ///< tokens in the cache before decoding starts
  std::vector<int64_t> batches{};  ///< numbers of sequences that decode together, from an empty cache
  int repetitions = 3;
};

/// Tokens per second over the repetitions.
struct Rate {
  int64_t tokens = 0;  ///< of the prompt (prefill) or generated (decode)
  int64_t depth = 0;
  int64_t sequences = 1;  ///< that run together; tps counts the tokens of all
  double tps = 0;         ///< median
  double tps_min = 0, tps_max = 0;
  double share = 0;  ///< of what the machine allowed just before and after each repetition; median
};

struct BenchmarkResult {
  std::string model, device;
  std::string isa;         ///< that the kernels use
  std::string arithmetic;  ///< that the share of a prompt is of: "int4", "int8", "bf16" or "f32"
  int threads = 0;
  MachineLimits limits;  ///< with the instructions of `isa`
  double load_s = 0, ttft_ms = 0;
  std::vector<Rate> prefill;  ///< share: weights that multiply x tokens, of the arithmetic's multiply-accumulates
  std::vector<Rate> decode;   ///< share: bytes of weights that are read for a token, of the bytes that can be read
  std::vector<Rate> batch;    ///< decoding of several sequences together; share as for decode
  uint64_t peak_rss_bytes = 0, weight_bytes = 0;
  uint64_t weight_bytes_per_token = 0;  ///< all but the table of embeddings, of which a token reads one row, and experts not chosen
  uint64_t prefill_weights = 0;         ///< that multiply for every token of a prompt: all but embeddings, head and experts not chosen
};

/// Times a model on random tokens (seeded). Throws Error.
BenchmarkResult benchmark(const std::filesystem::path& model, const std::string& device, const Properties& properties,
                          const BenchmarkOptions& options, std::shared_ptr<Context> context = nullptr, Progress* progress = nullptr);

}  // namespace nibble
