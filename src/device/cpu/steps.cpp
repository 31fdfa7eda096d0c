#include "device/cpu/steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/fail.hpp"
#include "graph/op_set.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

const RowOps& ops_of(const Execution& execution) { return row_ops(execution.plan().precision.isa); }

/// What is no row of any table becomes one that is refused.
int64_t as_row(float number) { return std::abs(number) < 0x1p31f ? static_cast<int64_t>(number) : std::numeric_limits<int64_t>::min(); }

}  // namespace

std::string_view to_string(Activation activation) {
  switch (activation) {
    case Activation::identity: return "identity";
    case Activation::silu: return "silu";
    case Activation::gelu_erf: return "gelu";
    case Activation::gelu_tanh: return "gelu_tanh";
    case Activation::relu: return "relu";
    case Activation::sigmoid: return "sigmoid";
    case Activation::tanh: return "tanh";
    case Activation::square_relu: return "square_relu";
    case Activation::exp: return "exp";
  }
  return "";
}

std::string EmbeddingStep::detail(const Plan&) const { return fmt::format("{} columns", out_.width); }

void EmbeddingStep::run(Execution& execution) const {
  execution.for_rows(static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) embedding_.lookup(as_row(*execution.row(index_, r)), execution.row(out_, r));
  });
}

std::string NormStep::detail(const Plan&) const {
  return size_ == in_.width ? fmt::format("{} columns", size_) : fmt::format("{} groups of {} columns", in_.width / size_, size_);
}

void NormStep::run(Execution& execution) const {
  const RowOps& ops = ops_of(execution);
  const float* weight = weight_.empty() ? nullptr : weight_.data();
  const float* bias = bias_.empty() ? nullptr : bias_.data();
  execution.for_rows(0.3 * static_cast<double>(in_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r)
      for (size_t at = 0; at < in_.width; at += size_) {
        const float* x = execution.row(in_, r) + at;
        float* y = execution.row(out_, r) + at;
        if (norm_ == Kind::rms)
          ops.rms_norm(x, weight, epsilon_, size_, y);
        else
          ops.layer_norm(x, weight, bias, epsilon_, size_, y);
      }
  });
}

std::vector<View> LinearStep::inputs() const { return has_residual_ ? std::vector<View>{in_, residual_} : std::vector<View>{in_}; }

void LinearStep::set_residual(View residual, View out) {
  residual_ = residual;
  out_ = out;
  has_residual_ = true;
}

std::string LinearStep::detail(const Plan& plan) const {
  if (!plan.weights) return fmt::format("{} columns", in_.width);
  const PackedMatrix& w = plan.weights->matrix(request_);
  std::string text = fmt::format("{} x {}, {}", w.rows, w.columns, kernel_name(plan.precision, w, is_exact_));
  if (w.scale_type != ScaleType::none) text += w.group_size < w.columns ? fmt::format(", group {}", w.group_size) : ", per row";
  if (!bias_.empty()) text += ", bias";
  if (has_residual_) text += ", residual";
  return text;
}

void LinearStep::run(Execution& execution) const {
  const PackedMatrix& w = execution.plan().weights->matrix(request_);
  size_t rows = execution.rows();
  if (has_residual_ && execution.row(residual_, 0) != execution.row(out_, 0))
    for (size_t r = 0; r < rows; ++r) std::copy_n(execution.row(residual_, r), residual_.width, execution.row(out_, r));
  GemmOutput out{execution.row(out_, 0), execution.stride(out_.slot), bias_.empty() ? nullptr : bias_.data(), has_residual_};
  multiply(execution, w, execution.rows_view(in_), rows, out, is_exact_);
}

std::string ActivationStep::detail(const Plan&) const { return fmt::format("{}, {} columns", to_string(activation_), in_.width); }

void ActivationStep::run(Execution& execution) const {
  execution.for_rows(static_cast<double>(in_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) ops_of(execution).activate(activation_, execution.row(in_, r), in_.width, execution.row(out_, r));
  });
}

std::string ClampStep::detail(const Plan&) const { return fmt::format("to {} .. {}, {} columns", least_, most_, in_.width); }

void ClampStep::run(Execution& execution) const {
  execution.for_rows(0.2 * static_cast<double>(in_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      const float* x = execution.row(in_, r);
      float* y = execution.row(out_, r);
      for (size_t i = 0; i < in_.width; ++i) y[i] = std::min(std::max(x[i], least_), most_);  // NaN stays
    }
  });
}

std::string GatedStep::detail(const Plan&) const { return fmt::format("{}, {} columns", to_string(activation_), out_.width); }

void GatedStep::run(Execution& execution) const {
  execution.for_rows(static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r)
      ops_of(execution).gated(activation_, execution.row(gate_, r), execution.row(up_, r), out_.width, execution.row(out_, r));
  });
}

std::string_view BinaryStep::kind() const {
  switch (operation_) {
    case Kind::add: return "Add";
    case Kind::subtract: return "Subtract";
    case Kind::multiply: return "Multiply";
    case Kind::divide: return "Divide";
    case Kind::maximum: return "Maximum";
    case Kind::minimum: return "Minimum";
    case Kind::greater: return "Greater";
  }
  return "";
}

std::string BinaryStep::detail(const Plan&) const { return fmt::format("{} columns", out_.width); }

std::vector<View> BinaryStep::inputs() const {
  std::vector<View> views;
  for (const Operand* operand : {&a_, &b_})
    if (operand->constant.empty()) views.push_back(operand->view);
  return views;
}

void BinaryStep::run_row(const RowOps& ops, const float* a, const float* b, float* out) const {
  bool direct = a_.index.empty() && b_.index.empty();
  if (direct && operation_ == Kind::add) return ops.add(a, b, out_.width, out);
  if (direct && operation_ == Kind::multiply) return ops.multiply(a, b, out_.width, out);
  for (size_t i = 0; i < out_.width; ++i) {
    float x = a[a_.index.empty() ? i : a_.index[i]], y = b[b_.index.empty() ? i : b_.index[i]];
    switch (operation_) {
      case Kind::add: out[i] = x + y; break;
      case Kind::subtract: out[i] = x - y; break;
      case Kind::multiply: out[i] = x * y; break;
      case Kind::divide: out[i] = x / y; break;
      case Kind::maximum: out[i] = std::max(x, y); break;
      case Kind::minimum: out[i] = std::min(x, y); break;
      case Kind::greater: out[i] = x > y ? 1.0f : 0.0f; break;
    }
  }
}

void BinaryStep::run(Execution& execution) const {
  auto at = [&](const Operand& operand, size_t r) {
    return operand.constant.empty() ? static_cast<const float*>(execution.row(operand.view, r)) : operand.constant.data();
  };
  execution.for_rows(0.5 * static_cast<double>(out_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) run_row(ops_of(execution), at(a_, r), at(b_, r), execution.row(out_, r));
  });
}

std::string AttentionStep::detail(const Plan& plan) const {
  const KvLayer& kv = plan.kv_layers[parameters_.layer];
  std::string text = fmt::format("{} heads over {}, {} dimensions", parameters_.heads, kv.heads, kv.key_dim);
  if (parameters_.window) text += fmt::format(", window {}", parameters_.window);
  if (parameters_.softcap != 0) text += fmt::format(", softcap {}", parameters_.softcap);
  if (!slopes_.empty()) text += ", ALiBi";
  if (!sinks_.empty()) text += ", sinks";
  return text;
}

void AttentionStep::run(Execution& execution) const {
  const Precision& precision = execution.plan().precision;
  PagedAttention attention(precision.isa, precision.bf16);
  attention.write(*execution.cache, parameters_.layer, execution.spans, execution.rows_view(k_), execution.rows_view(v_),
                  execution.threads());
  AttentionParameters parameters = parameters_;
  parameters.slopes = slopes_;
  parameters.sinks = sinks_;
  attention.attend(*execution.cache, parameters, execution.spans, execution.rows_view(q_), execution.row(out_, 0),
                   execution.stride(out_.slot), execution.threads());
}

std::string ReferenceStep::detail(const Plan&) const { return "not fused: runs token by token"; }

std::vector<View> ReferenceStep::inputs() const {
  std::vector<View> views;
  for (const Input& input : inputs_)
    if (!input.constant) views.push_back(input.view);
  return views;
}

void ReferenceStep::run(Execution& execution) const {
  for (size_t r = 0; r < execution.rows(); ++r) {
    std::vector<Tensor> tensors, results(node_.output_count());
    for (const Input& input : inputs_) {
      if (input.constant) {
        tensors.push_back(input.constant);
        continue;
      }
      Tensor values = Tensor::from<float>(input.shape, std::span<const float>(execution.row(input.view, r), input.view.width));
      tensors.push_back(input.type == ElementType::f32 ? values : convert(values, input.type));
    }
    EvalContext context{node_, tensors, results, execution.threads()};
    node_.op().evaluate(context);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      std::vector<float> values = to_floats(results[i]);
      if (values.size() != outputs_[i].width)
        fail(ErrorKind::unsupported, "{}: {} values for a token, not {}", describe(node_), values.size(), outputs_[i].width);
      std::copy(values.begin(), values.end(), execution.row(outputs_[i], r));
    }
  }
}

}  // namespace nibble::cpu
