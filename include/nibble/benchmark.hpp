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
  int repetitions = 3;
};

/// Tokens per second over the repetitions.
struct Rate {
  int64_t tokens = 0;  ///< of the prompt (prefill) or generated (decode)
  int64_t depth = 0;
  double tps = 0;  ///< median
  double tps_min = 0, tps_max = 0;
  double share = 0;  ///< of what the machine's limits allow
};

struct BenchmarkResult {
  std::string model, device, isa;
  int threads = 0;
  MachineLimits limits;
  double load_s = 0, ttft_ms = 0;
  std::vector<Rate> prefill;  ///< share: 2 x weights x tokens / float operations
  std::vector<Rate> decode;   ///< share: bytes of weights x tokens / bytes read
  uint64_t peak_rss_bytes = 0, weight_bytes = 0;
};

/// Times a model on random tokens (seeded). Throws Error.
BenchmarkResult benchmark(const std::filesystem::path& model, const std::string& device, const Properties& properties,
                          const BenchmarkOptions& options, std::shared_ptr<Context> context = nullptr, Progress* progress = nullptr);

}  // namespace nibble
