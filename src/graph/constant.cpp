#include "graph/constant.hpp"

#include <vector>

namespace nibble {

size_t row_slice_bytes(const ConstantSource& source, size_t output, int64_t begin, int64_t end) {
  size_t count = element_count(source.shape(output));
  size_t per_row = source.rows() > 0 ? count / static_cast<size_t>(source.rows()) : 0;
  ElementType type = source.type(output);
  return packed_bytes(type, per_row * static_cast<size_t>(end)) - packed_bytes(type, per_row * static_cast<size_t>(begin));
}

size_t ConstantValue::byte_size() const { return source_ ? packed_bytes(type(), element_count(shape())) : tensor_.byte_size(); }

Tensor ConstantValue::tensor() const {
  if (!source_) return tensor_.aligned();
  std::vector<Tensor> outputs;
  std::vector<std::span<std::byte>> spans;
  for (size_t i = 0; i < source_->output_count(); ++i) {
    outputs.emplace_back(source_->type(i), source_->shape(i));
    spans.push_back({outputs[i].mutable_data(), outputs[i].byte_size()});
  }
  source_->produce(0, source_->rows(), spans);
  return outputs[output_];
}

}  // namespace nibble
