#include "checkpoint/prequantized/group_values.hpp"

#include <algorithm>
#include <vector>

#include "tensor/convert.hpp"

namespace nibble {

namespace {

class TensorValues final : public GroupValues {
 public:
  TensorValues(Tensor values, GroupLayout layout, float divisor)
      : values_(std::move(values)), bytes_(bit_width(values_.type()) / 8), layout_(layout), divisor_(divisor) {}

  void read(int64_t row, std::span<float> out) const override {
    auto first = static_cast<size_t>(row / layout_.rows_per_value * layout_.row_step);
    if (layout_.group_step == 1)
      unpack_to_float(values_.type(), values_.data(), first, out);
    else
      read_apart(first, out);
    if (divisor_ != 1)
      for (float& value : out) value /= divisor_;
  }

 private:
  /// Elements that lie apart are copied together first: converting is a matter of types, not of steps.
  void read_apart(size_t first, std::span<float> out) const {
    std::vector<std::byte> packed(out.size() * bytes_);
    const std::byte* from = values_.data() + first * bytes_;
    size_t step = static_cast<size_t>(layout_.group_step) * bytes_;
    for (size_t i = 0; i < out.size(); ++i) std::copy_n(from + i * step, bytes_, packed.data() + i * bytes_);
    unpack_to_float(values_.type(), packed.data(), 0, out);
  }

  Tensor values_;
  size_t bytes_;
  GroupLayout layout_;
  float divisor_;
};

}  // namespace

std::unique_ptr<GroupValues> group_values(Tensor values, GroupLayout layout, float divisor) {
  return std::make_unique<TensorValues>(std::move(values), layout, divisor);
}

}  // namespace nibble
