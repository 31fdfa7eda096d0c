#include "device/cpu/conv_step.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nibble::cpu {

namespace {

/// Slice(x, begin, to the end) along the last of three dimensions: gives x.
std::optional<Value> match_tail(Value value, int64_t begin, ConstantValues& constants) {
  const Node& slice = *value.node;
  if (!slice.is("Slice") || slice.input_count() != 5) return std::nullopt;
  std::vector<int64_t> numbers;
  for (size_t i = 1; i < 5; ++i) {
    if (!constants.is_constant(slice.input(i))) return std::nullopt;
    std::vector<int64_t> values = constants.integers(slice.input(i));
    if (values.size() != 1) return std::nullopt;
    numbers.push_back(values[0]);
  }
  bool fits = numbers[0] == begin && numbers[1] > (int64_t{1} << 30) && numbers[2] == 1 && (numbers[3] == 2 || numbers[3] == -1);
  return fits ? std::optional<Value>(slice.input(0)) : std::nullopt;
}

bool is_plain(const Node& conv) {
  const Attributes& a = conv.attributes();
  return a.get_string("strides", "1") == "1" && a.get_string("dilations", "1") == "1" && a.get_string("pads_begin", "0") == "0" &&
         a.get_string("pads_end", "0") == "0" && a.equals("auto_pad", "explicit", "explicit");
}

/// Whether the last `kernel` tokens of `all` become the state again.
bool is_kept(Value all, const std::string& variable, int64_t kernel, ConstantValues& constants) {
  for (const auto& use : all.node->uses(all.index)) {
    if (!match_tail(use.node->output(), -kernel, constants)) continue;
    for (const auto& reader : use.node->uses())
      if (reader.node->is("Assign") && reader.node->attributes().get_string("variable_id") == variable) return true;
  }
  return false;
}

}  // namespace

std::optional<ConvMatch> match_conv(Value value, ConstantValues& constants) {
  auto result = match_tail(value, 1, constants);
  if (!result || !result->node->is("GroupConvolution") || !is_plain(*result->node)) return std::nullopt;
  const Node& conv = *result->node;
  Value all = conv.input(0), weight = conv.input(1);
  const Node& concat = *all.node;
  if (!concat.is("Concat") || concat.input_count() != 2 || !constants.is_constant(weight) || !weight.shape().is_static())
    return std::nullopt;
  const Shape& shape = weight.shape().dims();
  auto axis = concat.attributes().get_int("axis", 0);
  if (shape.size() != 4 || shape[1] != 1 || shape[2] != 1 || shape[3] < 1 || (axis != -1 && axis != 2)) return std::nullopt;
  const Node* state = concat.input(0).node;
  if (state->is("Gather")) state = state->input(0).node;
  if (!state->is("ReadValue")) return std::nullopt;
  const PartialShape& kept = state->output_info().shape;
  if (!kept.rank_is_known() || kept.rank() != 3 || kept[1] != shape[0] || kept[2] != shape[3]) return std::nullopt;
  if (!is_kept(all, state->attributes().get_string("variable_id"), shape[3], constants)) return std::nullopt;
  return ConvMatch{concat.input(1), weight, state};
}

std::string ConvStep::detail(const Plan&) const { return fmt::format("{} channels over {} tokens", x_.width, weight_.size() / x_.width); }

void ConvStep::run(Execution& execution) const {
  for (const AttentionSpan& span : execution.spans) run_span(execution, span);
}

void ConvStep::run_span(Execution& execution, const AttentionSpan& span) const {
  size_t width = x_.width, past = weight_.size() / width - 1;
  float* state = execution.conv_states->state(span.sequence, layer_);
  // Token t of the span, or of the state where it is negative.
  auto input = [&](size_t t, size_t k) {
    return t + k < past ? state + (t + k) * width : execution.row(x_, span.first_row + t + k - past);
  };
  for (size_t t = 0; t < span.count; ++t) {
    float* out = execution.row(out_, span.first_row + t);
    std::fill_n(out, width, 0.0f);
    for (size_t k = 0; k <= past; ++k) {
      const float *x = input(t, k), *weight = weight_.data() + k * width;
      for (size_t i = 0; i < width; ++i) out[i] += weight[i] * x[i];
    }
  }
  for (size_t k = 0; k < past; ++k) {
    const float* latest = input(span.count, k);
    if (latest != state + k * width) std::copy_n(latest, width, state + k * width);
  }
}

}  // namespace nibble::cpu
