#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "calibrate/weight_product.hpp"
#include "compress/calibration.hpp"
#include "nibble/context.hpp"
#include "nibble/progress.hpp"

namespace nibble {

struct LockstepOptions {
  size_t memory_limit = 1'000'000'000;    ///< bytes of activations kept in memory between two layers; the rest goes to disk
  std::filesystem::path spill_directory;  ///< for temporary files; empty: scratch_directory()
  ProductPrecision precision = ProductPrecision::automatic;
  size_t group_tokens = 6144;  ///< that may go through the layers together in observe(), more in large models: each group packs the weights
};

/// Runs token sequences through a language model: products with weights by the kernels of the CPU engine, the weights of one layer at a
/// time; everything else sample by sample (node_program.hpp). What depends on the number of tokens alone is computed once per
/// length. The graph is not changed, and read again for every run(). For one thread.
class LockstepCalibration : public Calibration {
 public:
  /// `samples`: token ids. Throws Error{invalid_argument} when there are none, or an empty one. `context` must outlive this, and so must
  /// `progress`, which is only asked whether to stop: run() throws Error{cancelled} then.
  LockstepCalibration(std::vector<std::vector<int64_t>> samples, Context& context, const Progress* progress = nullptr,
                      LockstepOptions options = {});

  size_t sample_count() const override { return samples_.size(); }
  /// Throws also Error{unsupported} for models with inputs that it has nothing for, Error{exhausted} when the disk is full,
  /// Error{invalid_argument} for ids that the model does not have.
  void run(Graph& graph, std::span<Node* const> layers, const Visitor& visit) override;
  /// In groups of neighbouring samples. What lies between two layers takes no more than a share of the weights' memory, but for small
  /// models.
  void observe(Graph& graph, std::span<Node* const> layers, const Visitor& visit) override;

 private:
  size_t tokens_of_group(Graph& graph, std::span<Node* const> layers) const;

  std::vector<std::vector<int64_t>> samples_;
  Context& context_;
  const Progress* progress_;
  LockstepOptions options_;
};

}  // namespace nibble
