#include "device/cpu/moe_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

// Scratch buffers of an Execution beyond those of multiply().
enum Scratch : size_t { kRows = 8, kHidden, kActivated, kResults };

const float* row_of(const Tensor& biases, size_t experts, size_t index) {
  return biases.type() == ElementType::dynamic ? nullptr : biases.as<float>().data() + index * (biases.size() / experts);
}

}  // namespace

std::string MoeStep::detail(const Plan& plan) const {
  const auto& experts = experts_.experts;
  std::string text = fmt::format("{} of {} experts, {} x {}", chosen_.width, experts.size(), experts_.width, x_.width);
  if (plan.weights) text += fmt::format(", {}", kernel_name(plan.precision, plan.weights->matrix(experts[0].down)));
  return text;
}

void MoeStep::run(Execution& execution) const {
  size_t count = experts_.experts.size();
  std::vector<std::vector<Choice>> choices(count);
  for (size_t r = 0; r < execution.rows(); ++r) {
    std::fill_n(execution.row(out_, r), out_.width, 0.0f);
    for (size_t i = 0; i < chosen_.width; ++i) {
      float expert = execution.row(chosen_, r)[i];
      if (!(expert >= 0) || expert >= static_cast<float>(count)) fail(ErrorKind::corrupt, "expert {} of {}", expert, count);
      choices[static_cast<size_t>(expert)].push_back({r, execution.row(weights_, r)[i]});
    }
  }
  for (size_t e = 0; e < count; ++e)
    if (!choices[e].empty()) run_expert(execution, e, choices[e]);
}

void MoeStep::multiply_both(Execution& execution, size_t index, RowsView rows, size_t count, float* both) const {
  const PackedWeights& weights = *execution.plan().weights;
  const MoeExperts::Expert& expert = experts_.experts[index];
  const float* bias = row_of(experts_.gate_up_bias, experts_.experts.size(), index);
  size_t width = experts_.width;
  if (expert.stacked) return multiply(execution, weights.matrix(expert.gate_up), rows, count, {both, 2 * width, bias, false});
  multiply(execution, weights.matrix(expert.gate), rows, count, {both, 2 * width, bias, false});
  multiply(execution, weights.matrix(expert.up), rows, count, {both + width, 2 * width, bias ? bias + width : nullptr, false});
}

/// The clamped gate is silu(slope * g) * ((u + 1) / slope).
void MoeStep::activate(const RowOps& ops, float* both, float* out) const {
  size_t width = experts_.width;
  if (!experts_.clamped) return ops.gated(experts_.activation, both, both + width, width, out);
  const ClampedGate& clamped = *experts_.clamped;
  size_t step = experts_.is_interleaved ? 2 : 1, first_up = experts_.is_interleaved ? 1 : width;
  for (size_t i = 0; i < width; ++i) {
    float gate = both[i * step], up = both[first_up + i * step];
    out[i] = (std::min(std::max(up, -clamped.limit), clamped.limit) + 1) / clamped.slope;
    both[i] = clamped.slope * std::min(gate, clamped.limit);  // behind what is still to be read
  }
  ops.gated(Activation::silu, both, out, width, out);
}

void MoeStep::run_expert(Execution& execution, size_t index, const std::vector<Choice>& choices) const {
  const RowOps& ops = row_ops(execution.plan().precision.isa);
  size_t count = choices.size(), hidden = x_.width, width = experts_.width;
  auto floats = [&](size_t scratch, size_t columns) {
    return reinterpret_cast<float*>(execution.scratch(scratch, count * columns * sizeof(float)));
  };
  float *rows = floats(kRows, hidden), *both = floats(kHidden, 2 * width), *activated = floats(kActivated, width),
        *results = floats(kResults, hidden);
  for (size_t i = 0; i < count; ++i) std::copy_n(execution.row(x_, choices[i].row), hidden, rows + i * hidden);
  multiply_both(execution, index, {rows, hidden}, count, both);
  for (size_t i = 0; i < count; ++i) activate(ops, both + i * 2 * width, activated + i * width);
  const float* bias = row_of(experts_.down_bias, experts_.experts.size(), index);
  multiply(execution, execution.plan().weights->matrix(experts_.experts[index].down), {activated, width}, count,
           {results, hidden, bias, false});
  for (size_t i = 0; i < count; ++i) ops.accumulate(results + i * hidden, choices[i].weight, hidden, execution.row(out_, choices[i].row));
}

std::string_view RowStep::kind() const {
  switch (operation_) {
    case Kind::softmax: return "Softmax";
    case Kind::top_k: return "TopK";
    case Kind::sum: return "Sum";
    case Kind::max: return "Max";
  }
  return "";
}

std::string RowStep::detail(const Plan&) const { return fmt::format("{} columns to {}", size_, outputs_[0].width * size_ / in_.width); }

void RowStep::run_group(const RowOps& ops, const float* in, size_t group, Execution& execution, size_t r) const {
  float* out = execution.row(outputs_[0], r);
  if (operation_ == Kind::softmax) return ops.softmax(in, size_, out + group * size_);
  if (operation_ == Kind::sum) {
    out[group] = std::accumulate(in, in + size_, 0.0f);
    return;
  }
  if (operation_ == Kind::max) {
    out[group] = *std::max_element(in, in + size_);
    return;
  }
  size_t k = outputs_[0].width * size_ / in_.width;
  std::vector<size_t> order(size_);
  std::iota(order.begin(), order.end(), size_t{0});
  // NaN counts as the smallest; of equal values the first.
  auto before = [&](size_t a, size_t b) { return in[a] > in[b] || (in[a] == in[b] && a < b) || (in[b] != in[b] && in[a] == in[a]); };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(), before);
  for (size_t i = 0; i < k; ++i) {
    out[group * k + i] = in[order[i]];
    execution.row(outputs_[1], r)[group * k + i] = static_cast<float>(order[i]);
  }
}

void RowStep::run(Execution& execution) const {
  const RowOps& ops = row_ops(execution.plan().precision.isa);
  execution.for_rows(4.0 * static_cast<double>(in_.width), [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r)
      for (size_t group = 0; group * size_ < in_.width; ++group) run_group(ops, execution.row(in_, r) + group * size_, group, execution, r);
  });
}

}  // namespace nibble::cpu
