#include "export/encoded_constant.hpp"

#include <algorithm>
#include <cmath>

#include "compress/quantize.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

constexpr int64_t kRows = 16;  // read together: as many as share a line of the cache where columns are stored first

/// Whether all have the grid and the order of the first.
bool are_alike(const std::vector<WeightRows>& parts) {
  const EncodedMatrix* first = parts.front().encoded();
  if (!first || !first->grid()) return false;
  auto order = first->column_order();
  return std::all_of(parts.begin(), parts.end(), [&](const WeightRows& part) {
    const EncodedMatrix* matrix = part.encoded();
    return matrix && matrix->grid() && *matrix->grid() == *first->grid() &&
           std::equal(order.begin(), order.end(), matrix->column_order().begin(), matrix->column_order().end());
  });
}

void pack_scales(ElementType type, std::span<const float> scales, std::byte* out, size_t first) {
  if (type != ElementType::f8e8m0) return pack_from_float(type, scales, out, first);
  for (size_t i = 0; i < scales.size(); ++i) out[first + i] = static_cast<std::byte>(std::clamp(std::ilogb(scales[i]) + 127, 0, 254));
}

/// Codes, scales and zero points of some rows.
struct Rows {
  std::vector<uint8_t> codes, zero_points;
  std::vector<float> scales;

  void resize(int64_t rows, int64_t columns, const CodeGrid& grid) {
    auto groups = static_cast<size_t>(rows * (columns / grid.group_size));
    codes.resize(static_cast<size_t>(rows * columns));
    scales.resize(groups);
    zero_points.resize(grid.has_zero_points ? groups : 0);
  }
};

}  // namespace

std::shared_ptr<const EncodedConstant> EncodedConstant::make(const WeightSource& source, const WeightRecipe& recipe, const Shape& shape) {
  bool is_encoded =
      std::all_of(recipe.parts.begin(), recipe.parts.end(), [&](const WeightPart& part) { return source.encoded(part.tensor) != nullptr; });
  if (!is_encoded || recipe.has_unit_rows || shape.size() < 2) return nullptr;
  WeightParts parts(source, recipe, shape);
  if (!are_alike(parts.parts())) return nullptr;
  return std::shared_ptr<const EncodedConstant>(new EncodedConstant(std::move(parts), shape));
}

EncodedConstant::EncodedConstant(WeightParts parts, const Shape& shape)
    : parts_(std::move(parts)), grid_(parts_.parts().front().encoded()->grid()), codes_(shape) {
  if (grid_->group_size != shape.back()) {
    codes_.back() = shape.back() / grid_->group_size;
    codes_.push_back(grid_->group_size);
  }
  scales_ = codes_;
  scales_.back() = 1;
}

ElementType EncodedConstant::type(size_t output) const { return output == kScales ? grid_->scales : grid_->codes; }

void EncodedConstant::produce(int64_t begin, int64_t end, std::span<const std::span<std::byte>> out) const {
  // Codes that fill bytes in part are merged into them, and padding is zero.
  for (size_t i = 0; i < output_count(); ++i)
    if (bit_width(type(i)) < 8) std::fill(out[i].begin(), out[i].end(), std::byte{0});
  int64_t columns = parts_.columns(), groups = columns / grid_->group_size;
  Rows rows;
  parts_.for_each_run(begin, end, [&](const WeightRows& part, int64_t first, int64_t count, int64_t row) {
    for (int64_t done = 0; done < count; done += kRows) {
      int64_t some = std::min(kRows, count - done), at = row - begin + done;
      rows.resize(some, columns, *grid_);
      part.encoded()->read_code_rows(first + done, some, rows.codes, rows.scales, rows.zero_points);
      pack_codes(grid_->codes, rows.codes, out[kCodes].data(), static_cast<size_t>(at * columns));
      pack_scales(grid_->scales, rows.scales, out[kScales].data(), static_cast<size_t>(at * groups));
      if (has_zero_points()) pack_codes(grid_->codes, rows.zero_points, out[kZeroPoints].data(), static_cast<size_t>(at * groups));
    }
  });
}

}  // namespace nibble
