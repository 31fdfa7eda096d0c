#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/context.hpp"
#include "nibble/device.hpp"
#include "nibble/progress.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// A language model as a function from tokens to logits, without sampling: for measurements and comparisons.
/// Not thread-safe; several may share a Context.
class LanguageModel {
 public:
  /// Opens what LLMPipeline opens.
  explicit LanguageModel(const std::filesystem::path& directory, const std::string& device = {}, const Properties& properties = {},
                         std::shared_ptr<Context> context = nullptr);
  ~LanguageModel();
  LanguageModel(LanguageModel&&) noexcept;

  std::string device() const;

  /// Logits f32 [rows, tokens, vocab] of rows of token ids, from an empty cache. Shorter rows are padded on the left with
  /// `pad_id`; logits of padding are zeros. `chunks`: the numbers of tokens to feed at a time through the cache, which add
  /// up to the row length; empty = all at once.
  Tensor logits(const std::vector<std::vector<int64_t>>& rows, const std::vector<int64_t>& chunks = {}, int64_t pad_id = 0);

  struct Impl;
  explicit LanguageModel(std::unique_ptr<Impl> impl);  ///< for Nibble's own use

 private:
  std::unique_ptr<Impl> impl_;
};

/// Writes tensors by name as a safetensors file, which appears whole or not at all.
void save_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors);

/// How well a model predicts a text.
struct Perplexity {
  double perplexity = 0;     ///< exp of the mean negative log-likelihood
  double nll_per_token = 0;  ///< nats
  size_t tokens = 0;         ///< of the whole text
  size_t predicted_tokens = 0;
  double seconds = 0;
};

/// The difference of two models' next-token distributions over a text.
struct Divergence {
  double mean_kl = 0;         ///< KL(reference || model), nats
  double top1_agreement = 0;  ///< share of places with the same most probable token
};

struct Evaluation {
  Perplexity model;
  std::optional<Perplexity> reference;
  std::optional<Divergence> divergence;
};

/// Perplexity as models/nib defines it: the whole text is tokenised at once without special tokens added, cut into windows
/// of `window` tokens that do not overlap; each is run from an empty cache and every token but its first is predicted.
/// With `reference`, both models' figures and their divergence. The tokenizer is the one of `tokenizer_directory`.
Evaluation evaluate(LanguageModel& model, LanguageModel* reference, const std::filesystem::path& tokenizer_directory, std::string_view text,
                    size_t window = 512, Progress* progress = nullptr);

}  // namespace nibble
