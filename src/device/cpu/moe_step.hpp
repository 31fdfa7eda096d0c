#pragma once

#include "device/cpu/steps.hpp"

namespace nibble::cpu {

/// A mixture of experts: tokens are sorted by expert, each expert multiplies the rows of those that chose it, and a token's results are
/// added in the order of the experts, so they do not depend on the other tokens.
class MoeStep : public Step {
 public:
  struct Expert {
    size_t gate_up = 0;  ///< weight requests; gate and up stacked
    size_t gate = 0, up = 0;
    bool stacked = true;
    size_t down = 0;
  };
  MoeStep(Activation activation, std::vector<Expert> experts, size_t width, View x, View chosen, View weights, View out)
      : activation_(activation), experts_(std::move(experts)), width_(width), x_(x), chosen_(chosen), weights_(weights), out_(out) {}
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
  void run_expert(Execution& execution, const Expert& expert, const std::vector<Choice>& choices) const;

  Activation activation_;
  std::vector<Expert> experts_;
  size_t width_;  // of an expert's hidden layer
  View x_, chosen_, weights_, out_;
};

/// Softmax, the k largest values with their indices, or a sum over every group of `size` columns.
class RowStep : public Step {
 public:
  enum class Kind { softmax, top_k, sum };
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
