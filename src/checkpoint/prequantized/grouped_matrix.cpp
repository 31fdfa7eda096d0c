#include "checkpoint/prequantized/grouped_matrix.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/vector_clones.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

bool is_integer_code(ElementType type) { return type == ElementType::u4 || type == ElementType::u8; }

int64_t row_count(const Shape& shape) { return static_cast<int64_t>(element_count(shape)) / shape.back(); }

/// The zero point that all have; nothing where they differ.
std::optional<int> common_zero(const GroupedParts& parts) {
  if (!parts.zero_points) return parts.zero;
  constexpr int64_t kRows = 64;
  std::vector<uint8_t> values;
  std::optional<int> common;
  for (int64_t row = 0, rows = row_count(parts.shape); row < rows; row += kRows) {
    Window window{row, std::min(kRows, rows - row), 0, parts.groups.count};
    values.resize(static_cast<size_t>(window.size()));
    parts.zero_points->read(window, values);
    if (!common) common = values.at(0);
    if (std::any_of(values.begin(), values.end(), [&](uint8_t value) { return value != *common; })) return std::nullopt;
  }
  return common;
}

/// Whether codes minus `zero` fit the signed type of the codes' width.
bool is_signed_around(int zero, int bits, ElementType codes) {
  int half = codes == ElementType::u4 ? 8 : 128;
  return zero <= half && (1 << bits) - 1 - zero < half;
}

/// out[i] = (codes[i] - zero) * scale
NIBBLE_VECTOR_CLONES void dequantize_run(const uint8_t* codes, size_t count, float zero, float scale, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = (static_cast<float>(codes[i]) - zero) * scale;
}

class GroupedMatrix final : public EncodedMatrix {
 public:
  explicit GroupedMatrix(GroupedParts parts) : p_(std::move(parts)), columns_(p_.shape.back()) {
    auto zero = is_integer_code(p_.codes) ? common_zero(p_) : 0;
    if (zero) p_.zero = *zero, p_.zero_points.reset();
    grid_ = {p_.codes, p_.groups.grid_size, p_.zero_points != nullptr, p_.scale_type};
    if (is_integer_code(p_.codes) && zero) {
      is_signed_ = is_signed_around(*zero, p_.bits, p_.codes);
      if (is_signed_) grid_.codes = p_.codes == ElementType::u4 ? ElementType::i4 : ElementType::i8;
      grid_.has_zero_points = !is_signed_ && *zero != 0;
    }
    if (!is_integer_code(p_.codes)) fill_levels();
  }

  const Shape& shape() const override { return p_.shape; }
  ElementType float_type() const override { return ElementType::f16; }
  const CodeGrid* grid() const override { return grid_.group_size ? &grid_ : nullptr; }
  std::span<const int32_t> column_order() const override { return p_.groups.column_order; }

  void read(int64_t row, int64_t begin, std::span<float> out) const override {
    decode({row, 1, begin, static_cast<int64_t>(out.size())}, out);
  }
  void read_rows(int64_t first, int64_t count, std::span<float> out) const override { decode({first, count, 0, columns_}, out); }

  void read_codes(int64_t row, std::span<uint8_t> codes, std::span<float> scales, std::span<uint8_t> zero_points) const override {
    read_code_rows(row, 1, codes, scales, zero_points);
  }
  void read_code_rows(int64_t first, int64_t count, std::span<uint8_t> codes, std::span<float> scales,
                      std::span<uint8_t> zero_points) const override {
    read_grid_codes({first, count, 0, columns_}, codes);
    auto groups = static_cast<size_t>(p_.groups.grid_count());
    std::vector<float> row_scales(static_cast<size_t>(p_.groups.count));
    for (int64_t i = 0; i < count; ++i) {
      p_.scales->read(first + i, row_scales);
      to_grid<float>(row_scales, scales.subspan(static_cast<size_t>(i) * groups, groups));
    }
    if (zero_points.empty()) return;
    std::vector<uint8_t> zeros = read_zeros({first, count, 0, p_.groups.count});
    for (int64_t i = 0; i < count; ++i)
      to_grid<uint8_t>(std::span<const uint8_t>(zeros).subspan(static_cast<size_t>(i * p_.groups.count), row_scales.size()),
                       zero_points.subspan(static_cast<size_t>(i) * groups, groups));
  }

 private:
  void fill_levels() {
    std::array<std::byte, 256> codes{};
    bool is_byte = bit_width(p_.codes) == 8;
    for (size_t i = 0; i < 256; ++i) codes[i] = static_cast<std::byte>(is_byte ? i : (2 * i + 1) << 4 | 2 * i);
    unpack_to_float(p_.codes, codes.data(), 0, std::span(levels_).first(is_byte ? 256 : 16));
  }

  std::vector<uint8_t> read_zeros(const Window& window) const {
    std::vector<uint8_t> zeros(static_cast<size_t>(window.size()), static_cast<uint8_t>(p_.zero));
    if (p_.zero_points) p_.zero_points->read(window, zeros);
    return zeros;
  }

  /// Codes in the order and with the meaning that the grid gives them.
  void read_grid_codes(const Window& window, std::span<uint8_t> codes) const {
    p_.plane->read(window, codes);
    if (is_signed_) {
      auto mask = static_cast<uint8_t>(p_.codes == ElementType::u4 ? 15 : 255);
      auto zero = static_cast<uint8_t>(p_.zero);
      for (uint8_t& code : codes) code = static_cast<uint8_t>(code - zero) & mask;
    }
    const auto& order = p_.groups.column_order;
    if (order.empty()) return;
    std::vector<uint8_t> row(order.size());
    for (int64_t i = 0; i < window.rows; ++i) {
      uint8_t* to = codes.data() + i * columns_;
      std::copy_n(to, row.size(), row.data());
      for (size_t c = 0; c < row.size(); ++c) to[c] = row[static_cast<size_t>(order[c])];
    }
  }

  template <class T>
  void to_grid(std::span<const T> groups, std::span<T> out) const {
    const auto& index = p_.groups.grid_index;
    if (index.empty()) {
      std::copy(groups.begin(), groups.end(), out.begin());
      return;
    }
    for (size_t i = 0; i < out.size(); ++i) out[i] = groups[static_cast<size_t>(index[i])];
  }

  void decode(Window window, std::span<float> out) const {
    int64_t skipped = window.column % 2;  // planes begin at even columns
    Window codes_window{window.row, window.rows, window.column - skipped, window.columns + skipped};
    std::vector<uint8_t> codes(static_cast<size_t>(codes_window.size()));
    p_.plane->read(codes_window, codes);
    std::vector<uint8_t> zeros = read_zeros({window.row, window.rows, 0, p_.groups.count});
    std::vector<float> scales(static_cast<size_t>(p_.groups.count));
    for (int64_t i = 0; i < window.rows; ++i) {
      p_.scales->read(window.row + i, scales);
      decode_row(codes.data() + i * codes_window.columns + skipped, window.column, scales.data(), zeros.data() + i * p_.groups.count,
                 out.subspan(static_cast<size_t>(i * window.columns), static_cast<size_t>(window.columns)));
    }
  }

  void decode_row(const uint8_t* codes, int64_t begin, const float* scales, const uint8_t* zeros, std::span<float> out) const {
    auto count = static_cast<int64_t>(out.size());
    for (int64_t i = 0; i < count;) {
      int64_t group = p_.groups.group_of(begin + i);
      int64_t end = p_.groups.size ? std::min(count, (group + 1) * p_.groups.size - begin) : i + 1;
      std::span<float> run = out.subspan(static_cast<size_t>(i), static_cast<size_t>(end - i));
      if (is_integer_code(p_.codes))
        dequantize_run(codes + i, run.size(), zeros[group], scales[group], run.data());
      else
        for (size_t c = 0; c < run.size(); ++c) run[c] = levels_[codes[i + static_cast<int64_t>(c)]] * scales[group];
      i = end;
    }
  }

  GroupedParts p_;
  int64_t columns_;
  CodeGrid grid_;
  bool is_signed_ = false;
  std::array<float, 256> levels_{};
};

}  // namespace

std::shared_ptr<const EncodedMatrix> make_grouped_matrix(GroupedParts parts) { return std::make_shared<GroupedMatrix>(std::move(parts)); }

}  // namespace nibble
