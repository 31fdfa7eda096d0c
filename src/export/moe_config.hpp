#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nibble {

/// How a router's logits become a choice of experts and their weights.
enum class RouterKind {
  softmax,       ///< softmax over all experts; those with the largest count
  sigmoid,       ///< sigmoid of each instead
  kept_softmax,  ///< the largest logits; softmax over these alone
  sparse_mixer,  ///< two experts, each weighed by a softmax over the logits near its own (Phi MoE, arXiv 2409.12136)
};

/// What a group of experts scores with.
enum class GroupScore { best, two_best };

struct RouterConfig {
  std::string name = "gate";  ///< of the layer that makes the logits, within the block
  RouterKind kind = RouterKind::softmax;
  bool has_bias = false;
  bool has_choice_bias =
      false;  ///< e_score_correction_bias [experts] is added to the scores that experts are chosen by, not to the weights
  int64_t groups = 1, kept_groups = 1;  ///< only experts of the kept groups of neighbours can be chosen
  GroupScore group_score = GroupScore::best;
  bool is_normalized = false;  ///< weights are divided by their sum plus `sum_epsilon`
  float sum_epsilon = 0;
  float scale = 1;   ///< the weights are multiplied by this last
  float jitter = 0;  ///< of the sparse mixer: logits further than twice this (relative) below the best do not count
};

/// down(activation(gate(x)) * up(x)), or down((clamp(up(x), +-limit) + 1) * g * sigmoid(slope * g)) with g = min(gate(x), limit), where
/// gate and up are the even and the odd rows of one matrix and every matrix has a bias (gpt-oss).
struct ClampedGate {
  float limit = 7, slope = 1.702f;
};

/// An MLP that every token goes through beside its experts.
struct SharedExpert {
  std::string name = "shared_expert";
  int64_t intermediate = 0;
  bool has_gate = false;  ///< its output is multiplied by sigmoid(`name`_gate(x))
};

/// A mixture of experts in the place of a layer's MLP. Sizes are in elements.
struct MoeConfig {
  std::string path = "mlp";  ///< of the block within its layer
  int64_t experts = 0, chosen = 0, intermediate = 0;
  std::string activation = "silu";
  std::optional<ClampedGate> clamped = {};
  RouterConfig router = {};
  std::optional<SharedExpert> shared = {};
};

/// Throws Error{corrupt} where sizes contradict each other (more experts chosen than there are, ...).
void check_moe_config(const MoeConfig& config, const std::string& where);

}  // namespace nibble
