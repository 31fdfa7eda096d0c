#include "compress/weight_reader.hpp"

#include <algorithm>
#include <cstring>

#include "tensor/convert.hpp"

namespace nibble {

WeightReader::WeightReader(const ConstantValue& weight, size_t first, size_t count, const QuantizeKernels& kernels)
    : type_(weight.type()), kernels_(&kernels) {
  if (weight.is_lazy())
    produce(weight, first, count);
  else
    data_ = weight.view().data(), tensor_ = weight.view();
}

/// The rows around the elements, of all outputs of the source: they are made together.
void WeightReader::produce(const ConstantValue& weight, size_t first, size_t count) {
  const ConstantSource& source = *weight.source();
  auto rows = static_cast<size_t>(source.rows());
  size_t per_row = element_count(weight.shape()) / rows;
  size_t begin = first / per_row / 8 * 8;
  size_t end = std::min((first + count + per_row - 1) / per_row, rows);
  end = std::min((end + 7) / 8 * 8, rows);
  std::vector<std::span<std::byte>> spans;
  for (size_t i = 0; i < source.output_count(); ++i) {
    produced_.emplace_back(row_slice_bytes(source, i, static_cast<int64_t>(begin), static_cast<int64_t>(end)));
    spans.emplace_back(produced_.back());
  }
  source.produce(static_cast<int64_t>(begin), static_cast<int64_t>(end), spans);
  data_ = produced_[weight.output()].data();
  base_ = begin * per_row;
}

void WeightReader::read(size_t first, std::span<float> out) const {
  first -= base_;
  switch (type_) {
    case ElementType::f16: return kernels_->widen_f16(data_ + 2 * first, out.size(), out.data());
    case ElementType::bf16: return kernels_->widen_bf16(data_ + 2 * first, out.size(), out.data());
    case ElementType::f32: std::memcpy(out.data(), data_ + 4 * first, out.size_bytes()); return;
    default: return unpack_to_float(type_, data_, first, out);
  }
}

}  // namespace nibble
