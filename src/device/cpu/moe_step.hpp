#pragma once

#include "device/cpu/expert_match.hpp"
#include "device/cpu/steps.hpp"

namespace nibble::cpu {

/// The experts of a mixture, as their step runs them.
struct MoeExperts {
  struct Expert {
    size_t gate_up = 0;  ///< weight requests; gate and up stacked or interleaved
    size_t gate = 0, up = 0;
    bool stacked = true;
    size_t down = 0;
  };
  std::vector<Expert> experts;
  size_t width = 0;  ///< of an expert's hidden layer
  Activation activation = Activation::silu;
  std::optional<ClampedGate> clamped;  ///< instead of the activation
  bool is_interleaved = false;         ///< gate and up are the even and odd rows of gate_up
  Tensor gate_up_bias, down_bias;      ///< f32 [experts, 2 * width] in the order of gate_up, and [experts, out]; dynamic: none
};

/// A mixture of experts: tokens are sorted by expert, each expert multiplies the rows of those that chose it, and a token's results are
/// added in the order of the experts, so they do not depend on the other tokens.
class MoeStep : public Step {
 public:
  MoeStep(MoeExperts experts, View x, View chosen, View weights, View out)
      : experts_(std::move(experts)), x_(x), chosen_(chosen), weights_(weights), out_(out) {}
  std::string_view kind() const override { return "MixtureOfExperts"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {x_, chosen_, weights_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  struct Choice {
    size_t row;
    float weight;
  };
  void run_expert(Execution& execution, size_t index, const std::vector<Choice>& choices) const;
  /// Gate and up of `count` rows [rows, 2 * width].
  void multiply_both(Execution& execution, size_t index, RowsView rows, size_t count, float* both) const;
  void activate(const RowOps& ops, float* both, float* out) const;

  MoeExperts experts_;
  View x_, chosen_, weights_, out_;
};

/// Softmax, the k largest values with their indices, the sum or the largest of every group of `size` columns.
class RowStep : public Step {
 public:
  enum class Kind { softmax, top_k, sum, max };
  RowStep(Kind kind, View in, size_t size, std::vector<View> outputs)
      : operation_(kind), in_(in), size_(size), outputs_(std::move(outputs)) {}
  std::string_view kind() const override;
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {in_}; }
  std::vector<View> outputs() const override { return outputs_; }
  void run(Execution& execution) const override;

 private:
  void run_group(const RowOps& ops, const float* in, size_t group, Execution& execution, size_t r) const;
  Kind operation_;
  View in_;
  size_t size_;
  std::vector<View> outputs_;
};

}  // namespace nibble::cpu
