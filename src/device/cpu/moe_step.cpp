#include "device/cpu/moe_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

// Scratch buffers of an Execution beyond those of multiply().
enum Scratch : size_t { kRows = 8, kHidden, kActivated, kResults };

}  // namespace

std::string MoeStep::detail(const Plan& plan) const {
  std::string text = fmt::format("{} of {} experts, {} x {}", chosen_.width, experts_.size(), width_, x_.width);
  if (plan.weights) text += fmt::format(", {}", kernel_name(plan.precision, plan.weights->matrix(experts_[0].down)));
  return text;
}

void MoeStep::run(Execution& execution) const {
  std::vector<std::vector<Choice>> choices(experts_.size());
  for (size_t r = 0; r < execution.rows(); ++r) {
    std::fill_n(execution.row(out_, r), out_.width, 0.0f);
    for (size_t i = 0; i < chosen_.width; ++i) {
      float expert = execution.row(chosen_, r)[i];
      if (!(expert >= 0) || expert >= static_cast<float>(experts_.size()))
        fail(ErrorKind::corrupt, "expert {} of {}", expert, experts_.size());
      choices[static_cast<size_t>(expert)].push_back({r, execution.row(weights_, r)[i]});
    }
  }
  for (size_t e = 0; e < experts_.size(); ++e)
    if (!choices[e].empty()) run_expert(execution, experts_[e], choices[e]);
}

void MoeStep::run_expert(Execution& execution, const Expert& expert, const std::vector<Choice>& choices) const {
  const PackedWeights& weights = *execution.plan().weights;
  const RowOps& ops = row_ops(execution.plan().precision.isa);
  size_t count = choices.size(), hidden = x_.width;
  auto floats = [&](size_t index, size_t width) {
    return reinterpret_cast<float*>(execution.scratch(index, count * width * sizeof(float)));
  };
  float *rows = floats(kRows, hidden), *both = floats(kHidden, 2 * width_), *activated = floats(kActivated, width_),
        *results = floats(kResults, hidden);
  for (size_t i = 0; i < count; ++i) std::copy_n(execution.row(x_, choices[i].row), hidden, rows + i * hidden);
  if (expert.stacked) {
    multiply(execution, weights.matrix(expert.gate_up), {rows, hidden}, count, {both, 2 * width_, nullptr, false});
  } else {
    multiply(execution, weights.matrix(expert.gate), {rows, hidden}, count, {both, 2 * width_, nullptr, false});
    multiply(execution, weights.matrix(expert.up), {rows, hidden}, count, {both + width_, 2 * width_, nullptr, false});
  }
  for (size_t i = 0; i < count; ++i)
    ops.gated(activation_, both + i * 2 * width_, both + i * 2 * width_ + width_, width_, activated + i * width_);
  multiply(execution, weights.matrix(expert.down), {activated, width_}, count, {results, hidden, nullptr, false});
  for (size_t i = 0; i < count; ++i) ops.accumulate(results + i * hidden, choices[i].weight, hidden, execution.row(out_, choices[i].row));
}

std::string_view RowStep::kind() const {
  switch (operation_) {
    case Kind::softmax: return "Softmax";
    case Kind::top_k: return "TopK";
    case Kind::sum: return "Sum";
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
