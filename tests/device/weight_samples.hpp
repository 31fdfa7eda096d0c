#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "device/cpu/kernels/packed_matrix.hpp"
#include "device/cpu/weight_matrix.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble::test {

/// Random bits of a type; floats between -2 and 2, f8e4m3 without NaN, f8e8m0 near 1.
inline Tensor random_values(ElementType type, Shape shape, std::mt19937& random) {
  Tensor tensor(type, std::move(shape));
  auto* bytes = reinterpret_cast<uint8_t*>(tensor.mutable_data());
  if (bit_width(type) <= 8) {
    for (size_t i = 0; i < tensor.byte_size(); ++i) {
      auto byte = static_cast<uint8_t>(random());
      if (type == ElementType::f8e4m3 && (byte & 0x7f) == 0x7f) byte ^= 1;
      bytes[i] = type == ElementType::f8e8m0 ? static_cast<uint8_t>(120 + byte % 16) : byte;
    }
    return tensor;
  }
  std::uniform_real_distribution<float> uniform(-2, 2);
  std::vector<float> values(tensor.size());
  for (float& value : values) value = uniform(random);
  pack_from_float(type, values, tensor.mutable_data(), 0);
  return tensor;
}

inline Shape shape_of(size_t rows, size_t columns) { return {static_cast<int64_t>(rows), static_cast<int64_t>(columns)}; }

/// Types of a weight's constants; dynamic: not there.
struct WeightTypes {
  ElementType codes = ElementType::u4;
  ElementType scales = ElementType::dynamic, zero_points = ElementType::dynamic;
};

/// A matrix of random weights; group_size 0 is one per row.
inline cpu::WeightMatrix random_weight(const WeightTypes& types, size_t rows, size_t columns, size_t group_size, unsigned seed = 1) {
  std::mt19937 random(seed);
  cpu::WeightMatrix weight;
  weight.name = "w" + std::to_string(seed);
  weight.rows = rows;
  weight.columns = columns;
  weight.group_size = group_size == 0 ? columns : group_size;
  Shape groups = shape_of(rows, (columns + weight.group_size - 1) / weight.group_size);
  weight.codes = random_values(types.codes, shape_of(rows, columns), random);
  if (types.scales != ElementType::dynamic) weight.scales = random_values(types.scales, groups, random);
  if (types.zero_points != ElementType::dynamic) weight.zero_points = random_values(types.zero_points, groups, random);
  return weight;
}

/// All values of a constant, or `absent`.
inline std::vector<float> values_of(const ConstantValue& value, float absent) {
  return value.type() == ElementType::dynamic ? std::vector<float>{absent} : to_floats(value.tensor());
}

/// (code - zero point) * scale, row by row, from the constants as the model has them.
inline std::vector<float> expected_weights(const cpu::WeightMatrix& weight) {
  auto codes = values_of(weight.codes, 0), scales = values_of(weight.scales, 1), zeros = values_of(weight.zero_points, 0);
  size_t groups = (weight.columns + weight.group_size - 1) / weight.group_size;
  std::vector<float> out;
  for (size_t row = weight.first_row; row < weight.first_row + weight.rows; ++row)
    for (size_t column = 0; column < weight.columns; ++column) {
      size_t group = row * groups + column / weight.group_size;
      float code = codes[weight.transposed ? weight.first_row * weight.columns + column * weight.rows + row - weight.first_row
                                           : row * weight.columns + column];
      if (!weight.levels.empty()) code = weight.levels[static_cast<size_t>(code)];
      out.push_back((code - (zeros.size() == 1 ? zeros[0] : zeros[group])) * (scales.size() == 1 ? scales[0] : scales[group]));
    }
  return out;
}

template <class T>
T load_at(const void* memory, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(memory) + index * sizeof(T), sizeof(T));
  return value;
}

/// The code of a weight as a number, by the description in packed_matrix.hpp. Takes rows and columns of the padding too.
inline float packed_code(const cpu::PackedMatrix& matrix, size_t row, size_t column) {
  const std::byte* panel = matrix.codes + row / 16 * matrix.panel_bytes();
  size_t r = row % 16, chunk = column / 32, within = column % 32;
  switch (matrix.code_type) {
    case cpu::CodeType::u4:
    case cpu::CodeType::level4: {
      auto byte = load_at<uint8_t>(panel, chunk * 256 + within / 8 * 64 + 4 * r + within % 4);
      uint8_t code = within % 8 < 4 ? byte & 15 : byte >> 4;
      return matrix.code_type == cpu::CodeType::level4 ? matrix.levels[code] : code;
    }
    case cpu::CodeType::u8: return load_at<uint8_t>(panel, chunk * 512 + within / 4 * 64 + 4 * r + within % 4);
    case cpu::CodeType::f8e4m3: return f8e4m3_to_float(load_at<uint8_t>(panel, chunk * 512 + within / 4 * 64 + 4 * r + within % 4));
    case cpu::CodeType::bf16: return to_float(load_at<bfloat16>(panel, column / 2 * 32 + 2 * r + column % 2));
    case cpu::CodeType::f16: return to_float(load_at<float16>(panel, column * 16 + r));
    case cpu::CodeType::f32: return load_at<float>(panel, column * 16 + r);
  }
  return std::nanf("");
}

inline size_t packed_group(const cpu::PackedMatrix& matrix, size_t row, size_t column) {
  return (row / 16 * matrix.groups() + column / matrix.group_size) * 16 + row % 16;
}

inline float packed_scale(const cpu::PackedMatrix& matrix, size_t row, size_t column) {
  size_t at = packed_group(matrix, row, column);
  switch (matrix.scale_type) {
    case cpu::ScaleType::none: return 1;
    case cpu::ScaleType::f16: return to_float(load_at<float16>(matrix.scales, at));
    case cpu::ScaleType::f32: return load_at<float>(matrix.scales, at);
  }
  return std::nanf("");
}

inline float packed_weight(const cpu::PackedMatrix& matrix, size_t row, size_t column) {
  float zero = 0;
  if (matrix.code_type == cpu::CodeType::u4 || matrix.code_type == cpu::CodeType::u8)
    zero = matrix.zero_points ? matrix.zero_points[packed_group(matrix, row, column)] : static_cast<float>(matrix.zero_point);
  return (packed_code(matrix, row, column) - zero) * packed_scale(matrix, row, column);
}

/// All weights of a packed matrix, row by row.
inline std::vector<float> packed_weights(const cpu::PackedMatrix& matrix) {
  std::vector<float> out;
  for (size_t row = 0; row < matrix.rows; ++row)
    for (size_t column = 0; column < matrix.columns; ++column) out.push_back(packed_weight(matrix, row, column));
  return out;
}

/// Whether all are equal, NaN with NaN.
inline bool same_values(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

/// Constants that are made on demand: slices of tensors that are there.
class SlicedSource final : public ConstantSource {
 public:
  SlicedSource(std::vector<Tensor> tensors, int64_t rows) : tensors_(std::move(tensors)), rows_(rows) {}

  size_t output_count() const override { return tensors_.size(); }
  ElementType type(size_t output) const override { return tensors_[output].type(); }
  const Shape& shape(size_t output) const override { return tensors_[output].shape(); }
  int64_t rows() const override { return rows_; }
  void produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const override {
    if (begin % 8 != 0 || (end % 8 != 0 && end != rows_)) throw std::logic_error("a slice that does not start on a byte");
    for (size_t i = 0; i < tensors_.size(); ++i) {
      size_t per_row = tensors_[i].size() / static_cast<size_t>(rows_);
      size_t first = packed_bytes(type(i), per_row * static_cast<size_t>(begin));
      std::memcpy(out[i].data(), tensors_[i].data() + first, row_slice_bytes(*this, i, begin, end));
    }
  }

 private:
  std::vector<Tensor> tensors_;
  int64_t rows_;
};

/// The same weight with codes, scales and zero points made on demand.
inline cpu::WeightMatrix made_lazy(cpu::WeightMatrix weight, int64_t source_rows) {
  std::vector<Tensor> tensors;
  for (const ConstantValue* value : {&weight.codes, &weight.scales, &weight.zero_points})
    if (value->type() != ElementType::dynamic) tensors.push_back(value->tensor());
  auto source = std::make_shared<SlicedSource>(tensors, source_rows);
  size_t output = 0;
  for (ConstantValue* value : {&weight.codes, &weight.scales, &weight.zero_points})
    if (value->type() != ElementType::dynamic) *value = ConstantValue(source, output++);
  return weight;
}

}  // namespace nibble::test
