#include "export/assembled_weight.hpp"

#include <algorithm>
#include <cmath>

#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr size_t kBlock = 4096;       // elements converted at a time through a buffer that stays in L1
constexpr int64_t kEncodedRows = 16;  // rows that are decoded together: as many as share a line of the cache where columns are stored first

/// As OpenVINO saves f16: large values become the largest half, values below its smallest subnormal zero.
void saturate(std::span<float> values) {
  for (float& v : values) {
    v = std::clamp(v, -65504.0f, 65504.0f);
    if (v > -0x1p-24f && v < 0x1p-24f) v = 0.0f;
  }
}

class AssembledWeight : public ConstantSource {
 public:
  AssembledWeight(WeightParts parts, Shape shape, ElementType type, bool has_unit_rows)
      : parts_(std::move(parts)), shape_(std::move(shape)), type_(type), has_unit_rows_(has_unit_rows) {}
  size_t output_count() const override { return 1; }
  ElementType type(size_t) const override { return type_; }
  const Shape& shape(size_t) const override { return shape_; }
  int64_t rows() const override { return parts_.rows(); }

  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    std::vector<float> buffer;
    parts_.for_each_run(begin, end, [&](const WeightRows& part, int64_t first, int64_t count, int64_t row) {
      auto at = static_cast<size_t>((row - begin) * columns());
      if (part.encoded() && !has_unit_rows_) return produce_encoded(*part.encoded(), first, count, at, out[0], buffer);
      buffer.resize(std::min(static_cast<size_t>(columns()), kBlock));
      for (int64_t i = 0; i < count; ++i) produce_row(part, first + i, at + static_cast<size_t>(i * columns()), out[0], buffer);
    });
  }

 private:
  int64_t columns() const { return parts_.columns(); }

  void produce_encoded(const EncodedMatrix& matrix, int64_t first, int64_t count, size_t at, std::span<std::byte> out,
                       std::vector<float>& buffer) const {
    buffer.resize(static_cast<size_t>(std::min(count, kEncodedRows) * columns()));
    for (int64_t done = 0; done < count; done += kEncodedRows) {
      int64_t rows = std::min(kEncodedRows, count - done);
      std::span<float> values(buffer.data(), static_cast<size_t>(rows * columns()));
      matrix.read_rows(first + done, rows, values);
      store(values, out, at + static_cast<size_t>(done * columns()));
    }
  }

  void store(std::span<float> values, std::span<std::byte> out, size_t at) const {
    if (type_ == ElementType::f16) saturate(values);
    pack_from_float(type_, values, out.data(), at);
  }

  void produce_row(const WeightRows& part, int64_t row, size_t at, std::span<std::byte> out, std::vector<float>& buffer) const {
    float length = has_unit_rows_ ? length_of(part, row, buffer) : 1;
    for (int64_t done = 0; done < columns();) {
      auto count = std::min(buffer.size(), static_cast<size_t>(columns() - done));
      std::span<float> block(buffer.data(), count);
      part.read(row, done, block);
      if (has_unit_rows_)
        for (float& value : block) value /= length;
      store(block, out, at + static_cast<size_t>(done));
      done += static_cast<int64_t>(count);
    }
  }

  /// As torch.nn.functional.normalize, which divides by no less than 1e-12.
  float length_of(const WeightRows& part, int64_t row, std::vector<float>& buffer) const {
    double squares = 0;
    for (int64_t done = 0; done < columns();) {
      std::span<float> block(buffer.data(), std::min(buffer.size(), static_cast<size_t>(columns() - done)));
      part.read(row, done, block);
      for (float value : block) squares += static_cast<double>(value) * static_cast<double>(value);
      done += static_cast<int64_t>(block.size());
    }
    return std::max(static_cast<float>(std::sqrt(squares)), 1e-12f);
  }

  WeightParts parts_;
  Shape shape_;
  ElementType type_;
  bool has_unit_rows_;
};

}  // namespace

ConstantValue assemble_weight(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape, ElementType type) {
  WeightParts parts(source, recipe, shape);
  const Tensor& first = parts.parts().front().tensor();
  if (parts.is_whole_part() && first.type() == type && !recipe.has_unit_rows) return first.reshaped(shape);
  return ConstantValue(std::make_shared<AssembledWeight>(std::move(parts), shape, type, recipe.has_unit_rows), 0);
}

}  // namespace nibble
