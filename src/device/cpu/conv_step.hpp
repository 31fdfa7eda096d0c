#pragma once

#include "device/cpu/constant_values.hpp"
#include "device/cpu/plan.hpp"

namespace nibble::cpu {

/// A convolution of every channel with a kernel of its own over the last tokens, which a state keeps between calls.
struct ConvMatch {
  Value x;            ///< [1, channels, tokens]: the new tokens
  Value weight;       ///< [channels, 1, 1, kernel], constant
  const Node* state;  ///< the ReadValue
};
/// With `value` as the results of the new tokens: Slice(GroupConvolution(Concat(state, x), weight)), where the state is the last `kernel`
/// tokens of what is concatenated.
std::optional<ConvMatch> match_conv(Value value, ConstantValues& constants);

/// Computes it: y[t] = sum over k of weight[k] * x[t - (kernel - 1) + k].
class ConvStep : public Step {
 public:
  /// `weight` [kernel, channels].
  ConvStep(size_t layer, std::vector<float> weight, View x, View out) : layer_(layer), weight_(std::move(weight)), x_(x), out_(out) {}
  std::string_view kind() const override { return "Convolution"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {x_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  void run_span(Execution& execution, const AttentionSpan& span) const;
  size_t layer_;
  std::vector<float> weight_;
  View x_, out_;
};

}  // namespace nibble::cpu
