#include "compress/scaled_weight.hpp"

#include <algorithm>

#include "tensor/convert.hpp"

namespace nibble {

ScaledWeight::ScaledWeight(ConstantValue weight, const MatrixLayout& layout, Axis axis, std::vector<float> factors)
    : weight_(std::move(weight)), layout_(layout), axis_(axis), factors_(std::move(factors)) {}

int64_t ScaledWeight::rows() const {
  if (weight_.is_lazy()) return weight_.source()->rows();
  return static_cast<int64_t>(layout_.matrices * (layout_.transposed ? layout_.columns : layout_.rows));
}

/// Elements from `first` on, which lie within one line: a row, or a column of a transposed weight.
void ScaledWeight::scale(size_t first, std::span<float> values) const {
  size_t width = layout_.transposed ? layout_.rows : layout_.columns, lines = layout_.transposed ? layout_.columns : layout_.rows;
  size_t line = first / width, at = first % width, matrix = line / lines;
  bool along = (axis_ == Axis::rows) == layout_.transposed;
  const float* factors = factors_.data() + (along ? matrix * width + at : line);
  for (size_t i = 0; i < values.size(); ++i) values[i] *= along ? factors[i] : *factors;
}

void ScaledWeight::produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const {
  if (begin == end) return;
  size_t per_row = element_count(weight_.shape()) / static_cast<size_t>(rows());
  size_t first = static_cast<size_t>(begin) * per_row, last = static_cast<size_t>(end) * per_row;
  size_t width = layout_.transposed ? layout_.rows : layout_.columns;
  WeightReader reader(weight_, first, last - first);
  std::vector<float> values;
  for (size_t at = first; at < last; at += values.size()) {
    values.resize(std::min(width - at % width, last - at));
    reader.read(at, values);
    scale(at, values);
    pack_from_float(weight_.type(), values, out[0].data(), at - first);
  }
}

}  // namespace nibble
