#pragma once

#include "device/cpu/form.hpp"
#include "device/cpu/gather_rows.hpp"
#include "device/cpu/kernels/float_gemm.hpp"
#include "device/cpu/kernels/quantized_gemm.hpp"
#include "device/cpu/plan.hpp"
#include "device/device.hpp"

namespace nibble::cpu {

/// Rows of a compressed table, by token id or by another integer per token.
class EmbeddingStep : public Step {
 public:
  EmbeddingStep(WeightMatrix table, View index, View out) : embedding_(std::move(table)), index_(index), out_(out) {}
  std::string_view kind() const override { return "Embedding"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {index_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  Embedding embedding_;
  View index_, out_;
};

/// RMS or layer norm of every group of `size` columns.
class NormStep : public Step {
 public:
  enum class Kind { rms, layer };
  NormStep(Kind kind, View in, View out, size_t size, float epsilon, std::vector<float> weight, std::vector<float> bias)
      : norm_(kind), in_(in), out_(out), size_(size), epsilon_(epsilon), weight_(std::move(weight)), bias_(std::move(bias)) {}
  std::string_view kind() const override { return norm_ == Kind::rms ? "RMSNorm" : "LayerNorm"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {in_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  Kind norm_;
  View in_, out_;
  size_t size_;
  float epsilon_;
  std::vector<float> weight_, bias_;  // empty: 1 and 0
};

/// A product with packed weights, with bias and residual.
class LinearStep : public Step {
 public:
  LinearStep(size_t request, View in, View out) : request_(request), in_(in), out_(out) {}
  std::string_view kind() const override { return "Linear"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override;
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;
  const View* in_place() const override { return has_residual_ ? &residual_ : nullptr; }

  View output() const { return out_; }
  void set_bias(std::vector<float> bias) { bias_ = std::move(bias); }
  /// For routers, whose choice near ties hangs on it: activations are not rounded.
  void set_exact() { is_exact_ = true; }
  bool has_residual() const { return has_residual_; }
  /// The sum of the product and these columns goes to `out` instead of the product to where it went.
  void set_residual(View residual, View out);

 private:
  size_t request_;
  View in_, out_, residual_;
  bool has_residual_ = false, is_exact_ = false;
  std::vector<float> bias_;
};

/// Any form: rotary embedding, slices, transpositions, scaling.
class ColumnsStep : public Step {
 public:
  ColumnsStep(const Form& form, View out);
  std::string_view kind() const override { return rotary_ ? "Rotary" : "Columns"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return inputs_; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  /// Elements in a row of one slot and multiplier slot: columns step by one and share the factor, or have tables of them.
  struct Run {
    size_t begin = 0, count = 0;
    Element first;
    int multiplier_step = 1;
    std::vector<int32_t> columns, multiplier_columns;  // relative to the slots; empty where columns step by one
    std::vector<float> factors;
  };
  struct Term {
    std::vector<Run> runs;
  };
  static std::vector<Run> find_runs(const std::vector<Element>& elements);
  static void append(Run& table, const Element& element);
  static void run_table(const Run& run, const float* x, const float* by, float* to);
  void run_row(Execution& execution, size_t r) const;

  std::vector<Term> terms_;
  View out_;
  std::vector<View> inputs_;
  bool rotary_;
};

class ActivationStep : public Step {
 public:
  ActivationStep(Activation activation, View in, View out) : activation_(activation), in_(in), out_(out) {}
  std::string_view kind() const override { return "Activation"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {in_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  Activation activation_;
  View in_, out_;
};

/// Numbers below `least` or above `most` become those.
class ClampStep : public Step {
 public:
  ClampStep(float least, float most, View in, View out) : least_(least), most_(most), in_(in), out_(out) {}
  std::string_view kind() const override { return "Clamp"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {in_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  float least_, most_;
  View in_, out_;
};

/// activation(gate) * up
class GatedStep : public Step {
 public:
  GatedStep(Activation activation, View gate, View up, View out) : activation_(activation), gate_(gate), up_(up), out_(out) {}
  std::string_view kind() const override { return "Gated"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {gate_, up_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  Activation activation_;
  View gate_, up_, out_;
};

/// Sum, difference, product, quotient, larger or smaller one or comparison (1 or 0) of two views, or of a view and constants; broadcast by
/// index tables where the shapes differ.
class BinaryStep : public Step {
 public:
  enum class Kind { add, subtract, multiply, divide, maximum, minimum, greater };
  struct Operand {
    View view;
    std::vector<float> constant;  ///< instead of the view, if not empty
    std::vector<size_t> index;    ///< per output element; empty: the same index
  };
  BinaryStep(Kind kind, Operand a, Operand b, View out) : operation_(kind), a_(std::move(a)), b_(std::move(b)), out_(out) {}
  std::string_view kind() const override;
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override;
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  void run_row(const RowOps& ops, const float* a, const float* b, float* out) const;
  Kind operation_;
  Operand a_, b_;
  View out_;
};

/// Writes the keys and values of the batch to the cache and attends over it.
class AttentionStep : public Step {
 public:
  AttentionStep(AttentionParameters parameters, std::vector<float> slopes, std::vector<float> sinks, View q, View k, View v, View out)
      : parameters_(parameters), slopes_(std::move(slopes)), sinks_(std::move(sinks)), q_(q), k_(k), v_(v), out_(out) {}
  std::string_view kind() const override { return "PagedAttention"; }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override { return {q_, k_, v_}; }
  std::vector<View> outputs() const override { return {out_}; }
  void run(Execution& execution) const override;

 private:
  AttentionParameters parameters_;
  std::vector<float> slopes_, sinks_;
  View q_, k_, v_, out_;
};

/// An operation without a kernel here: its `evaluate`, token by token.
class ReferenceStep : public Step {
 public:
  struct Input {
    View view;
    ElementType type = ElementType::f32;
    Shape shape;
    Tensor constant;  ///< instead of the view
  };
  ReferenceStep(const Node& node, std::vector<Input> inputs, std::vector<View> outputs)
      : node_(node), inputs_(std::move(inputs)), outputs_(std::move(outputs)) {}
  std::string_view kind() const override { return node_.type(); }
  std::string detail(const Plan& plan) const override;
  std::vector<View> inputs() const override;
  std::vector<View> outputs() const override { return outputs_; }
  void run(Execution& execution) const override;
  bool is_unfused() const override { return true; }

 private:
  const Node& node_;
  std::vector<Input> inputs_;
  std::vector<View> outputs_;
};

/// "silu", "gelu", ...
std::string_view to_string(Activation activation);

/// The product of rows of `in` with a packed matrix, spread over the threads: what LinearStep runs. Quantizes activations where the plan's
/// precision and the weights allow it; `exact`: never.
void multiply(Execution& execution, const PackedMatrix& weights, RowsView in, size_t rows, const GemmOutput& out, bool exact = false);
/// What multiply() computes in.
Arithmetic arithmetic_of(const Precision& precision, const PackedMatrix& weights);
/// The kernel that multiply() takes.
std::string_view kernel_name(const Precision& precision, const PackedMatrix& weights, bool exact = false);

}  // namespace nibble::cpu
