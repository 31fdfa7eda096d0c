#include "device/cpu/gather_rows.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "base/fail.hpp"
#include "device/cpu/packed_format.hpp"
#include "device/cpu/part_reader.hpp"
#include "tensor/convert.hpp"

namespace nibble::cpu {

namespace {

constexpr size_t kGroupBlock = 64;  // scales and zero points converted at a time, on the stack

void check_count(const WeightMatrix& table, std::string_view what, const ConstantValue& value, size_t per_row) {
  size_t count = element_count(value.shape()), expected = (table.first_row + table.rows) * per_row;
  if (count < expected) fail(ErrorKind::corrupt, "table '{}': {} {}, at least {} expected", table.name, count, what, expected);
}

void check_per_group(const WeightMatrix& table, std::string_view what, const ConstantValue& value) {
  if (is_present(value) && element_count(value.shape()) != 1) check_count(table, what, value, model_groups(table));
}

WeightMatrix checked(WeightMatrix table) {
  if (!can_pack(table))
    fail(ErrorKind::unsupported, "table '{}': codes of type {} with scales of type {} and zero points of type {} cannot be looked up",
         table.name, to_string(table.codes.type()), to_string(table.scales.type()), to_string(table.zero_points.type()));
  if (table.group_size == 0) fail(ErrorKind::invalid_argument, "table '{}': groups of no columns", table.name);
  check_count(table, "codes", table.codes, table.columns);
  check_per_group(table, "scales", table.scales);
  check_per_group(table, "zero points", table.zero_points);
  return table;
}

/// The value of every code of a type of at most 8 bits; empty for wider types.
std::vector<float> values_of_codes(const WeightMatrix& table) {
  size_t bits = bit_width(table.codes.type());
  if (bits > 8) return {};
  if (!table.levels.empty()) {
    std::vector<float> levels = table.levels;
    levels.resize(size_t{1} << bits);
    return levels;
  }
  std::vector<std::byte> codes(size_t{1} << bits);
  for (size_t i = 0; i < codes.size(); ++i) codes[bits == 8 ? i : i / 2] |= static_cast<std::byte>(i << (bits == 8 ? 0 : 4 * (i % 2)));
  std::vector<float> values(codes.size());
  unpack_to_float(table.codes.type(), codes.data(), 0, values);
  return values;
}

void look_up_bytes(const Elements& codes, const float* values, float* out) {
  const std::byte* in = codes.data + codes.first;
  for (size_t i = 0; i < codes.count; ++i) out[i] = values[std::to_integer<size_t>(in[i])];
}

/// Even elements are in the low nibble; the first one may be odd.
void look_up_nibbles(const Elements& codes, const float* values, float* out) {
  const std::byte* in = codes.data + codes.first / 2;
  size_t i = 0;
  if (codes.first % 2 && codes.count > 0) out[i++] = values[std::to_integer<size_t>(*in++ >> 4)];
  for (; i + 1 < codes.count; i += 2, ++in) {
    out[i] = values[std::to_integer<size_t>(*in & std::byte{15})];
    out[i + 1] = values[std::to_integer<size_t>(*in >> 4)];
  }
  if (i < codes.count) out[i] = values[std::to_integer<size_t>(*in & std::byte{15})];
}

/// `count` elements from index `first` on, or the one that stands for all, or `absent`.
void read_groups(const Elements& elements, size_t first, size_t count, float absent, float* out) {
  if (elements.count > 1) return unpack_to_float(elements.type, elements.data, elements.first + first, {out, count});
  if (elements.count == 1) unpack_to_float(elements.type, elements.data, elements.first, {&absent, 1});
  std::fill_n(out, count, absent);
}

}  // namespace

class Embedding::Table {
 public:
  explicit Table(WeightMatrix table)
      : matrix_(checked(std::move(table))),
        reader_(matrix_, {0, matrix_.rows}),
        codes_(reader_.codes()),
        scales_(reader_.scales()),
        zero_points_(reader_.zero_points()),
        values_(values_of_codes(matrix_)) {
    is_scaled_ = is_present(matrix_.scales) || is_present(matrix_.zero_points);
  }

  const WeightMatrix& matrix() const { return matrix_; }

  void lookup(size_t row, float* out) const {
    unpack_codes(row, out);
    if (is_scaled_) scale(row, out);
  }

 private:
  void unpack_codes(size_t row, float* out) const {
    size_t columns = matrix_.columns;
    if (matrix_.transposed) {
      for (size_t c = 0; c < columns; ++c) unpack_to_float(codes_.type, codes_.data, codes_.first + c * matrix_.rows + row, {out + c, 1});
      return;
    }
    Elements codes{codes_.type, codes_.data, codes_.first + row * columns, columns};
    if (values_.empty()) return unpack_to_float(codes.type, codes.data, codes.first, {out, columns});
    bit_width(codes.type) == 8 ? look_up_bytes(codes, values_.data(), out) : look_up_nibbles(codes, values_.data(), out);
  }

  void scale(size_t row, float* out) const {
    std::array<float, kGroupBlock> scales, zero_points;
    size_t groups = model_groups(matrix_), group_size = matrix_.group_size;
    for (size_t begin = 0; begin < groups; begin += kGroupBlock) {
      size_t count = std::min(kGroupBlock, groups - begin);
      read_groups(scales_, row * groups + begin, count, 1.0f, scales.data());
      read_groups(zero_points_, row * groups + begin, count, 0.0f, zero_points.data());
      for (size_t g = 0; g < count; ++g) {
        size_t first = (begin + g) * group_size, end = std::min(first + group_size, matrix_.columns);
        for (size_t c = first; c < end; ++c) out[c] = (out[c] - zero_points[g]) * scales[g];
      }
    }
  }

  WeightMatrix matrix_;
  PartReader reader_;  // owns what is made on demand
  Elements codes_, scales_, zero_points_;
  std::vector<float> values_;
  bool is_scaled_ = false;
};

Embedding::Embedding(WeightMatrix table) : table_(std::make_unique<const Table>(std::move(table))) {}
Embedding::~Embedding() = default;
Embedding::Embedding(Embedding&&) noexcept = default;
Embedding& Embedding::operator=(Embedding&&) noexcept = default;

size_t Embedding::rows() const { return table_->matrix().rows; }

size_t Embedding::columns() const { return table_->matrix().columns; }

void Embedding::lookup(int64_t row, float* out) const {
  auto count = static_cast<int64_t>(rows());
  if (row < -count || row >= count)
    fail(ErrorKind::invalid_argument, "row {} of table '{}', which has {}", row, table_->matrix().name, count);
  table_->lookup(static_cast<size_t>(row < 0 ? row + count : row), out);
}

}  // namespace nibble::cpu
