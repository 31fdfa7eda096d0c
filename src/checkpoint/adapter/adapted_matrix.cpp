#include "checkpoint/adapter/adapted_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/vector_clones.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr int64_t kColumns = 1024;  // of a block: eight rows of it and one of A stay in the first-level cache

NIBBLE_VECTOR_CLONES void add_product(float factor, const float* from, size_t count, float* to) {
  for (size_t i = 0; i < count; ++i) to[i] += factor * from[i];
}

class AdaptedMatrix final : public EncodedMatrix {
 public:
  explicit AdaptedMatrix(AdaptedParts parts) : p_(std::move(parts)), rank_(p_.a.rows()) {
    shape_ = p_.encoded ? p_.encoded->shape() : Shape{p_.weight.rows(), p_.weight.columns()};
  }

  const Shape& shape() const override { return shape_; }
  ElementType float_type() const override {
    if (p_.encoded) return p_.encoded->float_type();
    bool is_wide = p_.weight.tensor.type() == ElementType::f32 || p_.weight.tensor.type() == ElementType::f64;
    return is_wide ? ElementType::f32 : ElementType::f16;  // a small change of a bf16 weight would be lost in bf16
  }

  void read(int64_t row, int64_t begin, std::span<float> out) const override {
    if (!p_.magnitude) return read_sums(row, 1, begin, out);
    std::vector<float> whole(static_cast<size_t>(shape_[1]));
    read_rows(row, 1, whole);
    std::copy_n(whole.begin() + begin, out.size(), out.begin());
  }

  void read_rows(int64_t first, int64_t count, std::span<float> out) const override {
    read_sums(first, count, 0, out);
    if (!p_.magnitude) return;
    auto columns = static_cast<size_t>(shape_[1]);
    for (int64_t i = 0; i < count; ++i) set_length(first + i, out.subspan(static_cast<size_t>(i) * columns, columns));
  }

 private:
  /// W + scale * B A: `count` rows of out.size() / count columns.
  void read_sums(int64_t first, int64_t count, int64_t begin, std::span<float> out) const {
    auto columns = static_cast<int64_t>(out.size()) / count;
    std::vector<float> factors(static_cast<size_t>(count * rank_)), line(static_cast<size_t>(std::min(columns, kColumns)));
    for (int64_t i = 0; i < count; ++i) {
      read_weight(first + i, begin, out.subspan(static_cast<size_t>(i * columns), static_cast<size_t>(columns)));
      p_.b.read(first + i, 0, std::span(factors).subspan(static_cast<size_t>(i * rank_), static_cast<size_t>(rank_)));
    }
    for (float& factor : factors) factor *= p_.scale;
    for (int64_t done = 0; done < columns; done += kColumns) {
      auto size = static_cast<size_t>(std::min(kColumns, columns - done));
      for (int64_t r = 0; r < rank_; ++r) {
        p_.a.read(r, begin + done, std::span(line).first(size));
        for (int64_t i = 0; i < count; ++i)
          add_product(factors[static_cast<size_t>(i * rank_ + r)], line.data(), size, out.data() + i * columns + done);
      }
    }
  }

  void read_weight(int64_t row, int64_t begin, std::span<float> out) const {
    if (p_.encoded) return p_.encoded->read(row, begin, out);
    p_.weight.read(row, begin, out);
  }

  void set_length(int64_t row, std::span<float> values) const {
    double squares = 0;
    for (float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
    float magnitude = 0;
    unpack_to_float(p_.magnitude.type(), p_.magnitude.data(), static_cast<size_t>(row), {&magnitude, 1});
    float factor = magnitude / static_cast<float>(std::sqrt(squares));
    for (float& value : values) value *= factor;
  }

  AdaptedParts p_;
  int64_t rank_;
  Shape shape_;
};

}  // namespace

void StoredMatrix::read(int64_t row, int64_t begin, std::span<float> out) const {
  int64_t step = tensor.shape()[1];
  if (!is_transposed) return unpack_to_float(tensor.type(), tensor.data(), static_cast<size_t>(row * step + begin), out);
  // A column: elements that lie apart are copied together first.
  size_t bytes = bit_width(tensor.type()) / 8;
  std::vector<std::byte> packed(out.size() * bytes);
  for (size_t i = 0; i < out.size(); ++i) {
    auto at = static_cast<size_t>((begin + static_cast<int64_t>(i)) * step + row);
    std::copy_n(tensor.data() + at * bytes, bytes, packed.data() + i * bytes);
  }
  unpack_to_float(tensor.type(), packed.data(), 0, out);
}

std::shared_ptr<const EncodedMatrix> make_adapted_matrix(AdaptedParts parts) { return std::make_shared<AdaptedMatrix>(std::move(parts)); }

}  // namespace nibble
