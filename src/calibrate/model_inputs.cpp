#include "calibrate/model_inputs.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

#include "base/fail.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

bool is_called(const Node& parameter, std::string_view name) {
  return parameter.name() == name || parameter.output_info().names.count(std::string(name)) > 0;
}

bool begins_with(const Node& parameter, std::string_view prefix) {
  const auto& names = parameter.output_info().names;
  return parameter.name().starts_with(prefix) ||
         std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.starts_with(prefix); });
}

constexpr size_t kMaxRows = 64;  // of an input: position ids have three at most

/// The shape with `row` tokens in the last dimension and 1 in others that are not fixed: [1, n], or [3, 1, n] of position ids.
Shape shape_of_rows(const Node& parameter, int64_t row) {
  const PartialShape& shape = parameter.output_info().shape;
  if (!shape.rank_is_known() || shape.rank() == 0) return {1, row};
  Shape dims = shape.dims();
  for (int64_t& dim : dims) dim = dim < 0 ? 1 : dim;
  dims.back() = 1;
  if (element_count(dims) > kMaxRows)
    fail(ErrorKind::unsupported, "{} of shape [{}]: calibration takes models for one sequence at a time", describe(parameter),
         to_string(shape));
  dims.back() = row;
  return dims;
}

Tensor repeated(const Node& parameter, std::span<const int64_t> row) {
  Tensor out(ElementType::i64, shape_of_rows(parameter, static_cast<int64_t>(row.size())));
  auto values = out.as_mutable<int64_t>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = row[i % row.size()];
  return convert(out, parameter.output_info().type);
}

/// A cache without tokens: the batch is 1, what else is not fixed has no elements.
Tensor empty_cache(const Node& parameter) {
  Shape dims = parameter.output_info().shape.dims();
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] < 0) dims[i] = i == 0 ? 1 : 0;
  return Tensor(parameter.output_info().type, dims);
}

}  // namespace

bool is_token_input(const Node& parameter) { return is_called(parameter, "input_ids"); }

Tensor model_input(const Node& parameter, std::span<const int64_t> tokens) {
  std::vector<int64_t> row(tokens.begin(), tokens.end());
  if (is_token_input(parameter)) return repeated(parameter, row);
  if (is_called(parameter, "beam_idx")) return repeated(parameter, std::vector<int64_t>{0});
  if (begins_with(parameter, "past_key_values.") && parameter.output_info().shape.rank_is_known()) return empty_cache(parameter);
  if (is_called(parameter, "attention_mask"))
    row.assign(row.size(), 1);
  else if (is_called(parameter, "position_ids"))
    std::iota(row.begin(), row.end(), 0);
  else if (is_called(parameter, "token_type_ids"))
    row.assign(row.size(), 0);
  else
    fail(ErrorKind::unsupported, "{}: calibration has nothing to give to this input: the model must take input_ids", describe(parameter));
  return repeated(parameter, row);
}

}  // namespace nibble
