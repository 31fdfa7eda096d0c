#include "device/cpu/packed_format.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/fail.hpp"
#include "device/cpu/part_reader.hpp"
#include "tensor/convert.hpp"
#include "tensor/float_types.hpp"

namespace nibble::cpu {

namespace {

bool is_plain_float(ElementType type) { return type == ElementType::f16 || type == ElementType::bf16 || type == ElementType::f32; }

/// What codes of this type become; nothing where there is no packed form.
std::optional<CodeType> code_type_of(const WeightMatrix& matrix) {
  ElementType type = matrix.codes.type();
  if (!matrix.levels.empty()) return type == ElementType::u4 && matrix.levels.size() <= 16 ? std::optional(CodeType::level4) : std::nullopt;
  switch (type) {
    case ElementType::u4:
    case ElementType::i4: return CodeType::u4;
    case ElementType::u8:
    case ElementType::i8: return CodeType::u8;
    case ElementType::nf4:
    case ElementType::f4e2m1: return CodeType::level4;
    case ElementType::f8e4m3: return CodeType::f8e4m3;
    case ElementType::f16: return CodeType::f16;
    case ElementType::bf16: return CodeType::bf16;
    case ElementType::f32: return CodeType::f32;
    default: return std::nullopt;
  }
}

bool can_scale(ElementType type) { return is_plain_float(type) || type == ElementType::f8e8m0 || type == ElementType::f8e4m3; }

bool can_be_zero_point(ElementType type) {
  return type == ElementType::u4 || type == ElementType::i4 || type == ElementType::u8 || type == ElementType::i8;
}

bool is_integer_code(CodeType type) { return type == CodeType::u4 || type == CodeType::u8; }

float level_of(const WeightMatrix& matrix, uint8_t code) {
  if (!matrix.levels.empty()) return code < matrix.levels.size() ? matrix.levels[code] : 0.0f;
  return matrix.codes.type() == ElementType::nf4 ? nf4_to_float(code) : f4e2m1_to_float(code);
}

std::array<float, 16> levels_of(const WeightMatrix& matrix) {
  std::array<float, 16> levels{};
  for (uint8_t code = 0; code < 16; ++code) levels[code] = level_of(matrix, code);
  return levels;
}

/// Whatever NaN a table may hold.
bool same_bits(const std::array<float, 16>& a, const std::array<float, 16>& b) { return std::memcmp(a.data(), b.data(), sizeof(a)) == 0; }

/// Visits the part's rows in slices of about a megabyte of elements, until visit says no.
template <class Visit>
bool all_slices(const WeightMatrix& part, size_t elements_per_row, Visit&& visit) {
  size_t step = std::max<size_t>((size_t{1} << 20) / std::max<size_t>(elements_per_row, 1) / kPanelRows, 1) * kPanelRows;
  for (size_t row = 0; row < part.rows; row += step) {
    PartReader reader(part, {row, std::min(row + step, part.rows)});
    if (!visit(reader)) return false;
  }
  return true;
}

/// Whether f8e4m3 codes have NaN among them, which the packed form does not.
bool has_nan_codes(const WeightMatrix& part) {
  return !all_slices(part, part.columns, [](PartReader& reader) {
    unsigned nans = 0;
    for (std::byte code : bytes_of(reader.codes())) nans |= (std::to_integer<unsigned>(code) & 0x7f) == 0x7f;
    return nans == 0;
  });
}

bool f16_holds(float value) { return to_float(to_float16(value)) == value; }

bool f16_holds_scales(const WeightMatrix& part) {
  ElementType type = part.scales.type();
  if (type == ElementType::f16 || type == ElementType::f8e4m3) return true;
  if (part.scales.is_lazy()) return false;
  return all_slices(part, model_groups(part), [&](PartReader& reader) {
    std::vector<float> values = to_floats(reader.scales());
    return std::all_of(values.begin(), values.end(), f16_holds);
  });
}

/// The packed zero point when it is the same everywhere; 0 without zero points.
std::optional<uint8_t> common_zero_point(const WeightMatrix& part) {
  int shift = unsigned_shift(part.codes.type());
  if (!is_present(part.zero_points)) return static_cast<uint8_t>(shift);
  if (part.zero_points.is_lazy()) return std::nullopt;
  float first = to_floats(PartReader(part, {0, 1}).zero_points())[0];
  bool same = all_slices(part, model_groups(part), [&](PartReader& reader) {
    std::vector<float> values = to_floats(reader.zero_points());
    return std::all_of(values.begin(), values.end(), [&](float v) { return v == first; });
  });
  float packed = first + static_cast<float>(shift);
  if (!same || packed < 0 || packed > 255) return std::nullopt;
  return static_cast<uint8_t>(packed);
}

void check_count(const WeightMatrix& part, std::string_view what, const ConstantValue& value, size_t per_row) {
  size_t count = element_count(value.shape()), expected = (part.first_row + part.rows) * per_row;
  if (count < expected) fail(ErrorKind::corrupt, "weight '{}': {} {}, at least {} expected", part.name, count, what, expected);
}

void check_per_group(const WeightMatrix& part, std::string_view what, const ConstantValue& value) {
  if (is_present(value) && element_count(value.shape()) != 1) check_count(part, what, value, model_groups(part));
}

void check(const WeightMatrix& part) {
  if (!can_pack(part))
    fail(ErrorKind::unsupported, "weight '{}': codes of type {} with scales of type {} and zero points of type {} have no packed form",
         part.name, to_string(part.codes.type()), to_string(part.scales.type()), to_string(part.zero_points.type()));
  if (part.rows == 0 || part.columns == 0 || part.group_size == 0 || part.group_size > part.columns)
    fail(ErrorKind::invalid_argument, "weight '{}': {} x {} in groups of {}", part.name, part.rows, part.columns, part.group_size);
  check_count(part, "codes", part.codes, part.columns);
  check_per_group(part, "scales", part.scales);
  check_per_group(part, "zero points", part.zero_points);
}

template <class Predicate>
bool any_part(const PackRequest& request, Predicate predicate) {
  return std::any_of(request.parts.begin(), request.parts.end(), predicate);
}

CodeType choose_code_type(const PackRequest& request) {
  CodeType type = *code_type_of(request.parts.front());
  if (request.options.to_bf16 && (type == CodeType::f16 || type == CodeType::f32)) return CodeType::bf16;
  if (type == CodeType::f8e4m3 && any_part(request, has_nan_codes)) return CodeType::f16;
  return type;
}

ScaleType choose_scale_type(const PackRequest& request, CodeType code_type) {
  auto has_scales = [](const WeightMatrix& part) { return is_present(part.scales); };
  bool needed = is_integer_code(code_type) || code_type == CodeType::level4;
  if (!needed && !any_part(request, has_scales)) return ScaleType::none;
  if (request.parts.front().group_size == request.parts.front().columns) return ScaleType::f32;
  bool half = !any_part(request, [](const WeightMatrix& part) { return !f16_holds_scales(part); });
  return half ? ScaleType::f16 : ScaleType::f32;
}

void choose_zero_points(const PackRequest& request, PackedFormat& format) {
  if (!is_integer_code(format.code_type)) return;
  std::optional<uint8_t> first = common_zero_point(request.parts.front());
  format.has_zero_points = !first || any_part(request, [&](const WeightMatrix& part) { return common_zero_point(part) != first; });
  if (!format.has_zero_points) format.zero_point = *first;
}

}  // namespace

size_t PackedFormat::code_bytes() const {
  PackedMatrix matrix = describe(*this);
  return matrix.panels() * matrix.panel_bytes();
}

size_t PackedFormat::scale_bytes() const {
  PackedMatrix matrix = describe(*this);
  size_t width = scale_type == ScaleType::none ? 0 : scale_type == ScaleType::f16 ? 2 : 4;
  return matrix.panels() * matrix.groups() * kPanelRows * width;
}

size_t PackedFormat::zero_point_bytes() const {
  PackedMatrix matrix = describe(*this);
  return has_zero_points ? matrix.panels() * matrix.groups() * kPanelRows : 0;
}

size_t PackedFormat::level_bytes() const { return code_type == CodeType::level4 ? sizeof(levels) : 0; }

PackedMatrix describe(const PackedFormat& format) {
  PackedMatrix matrix;
  matrix.code_type = format.code_type;
  matrix.scale_type = format.scale_type;
  matrix.rows = format.rows;
  matrix.columns = format.columns;
  matrix.group_size = format.group_size;
  matrix.zero_point = format.zero_point;
  return matrix;
}

int unsigned_shift(ElementType codes) { return codes == ElementType::i4 ? 8 : codes == ElementType::i8 ? 128 : 0; }

size_t model_groups(const WeightMatrix& matrix) { return (matrix.columns + matrix.group_size - 1) / matrix.group_size; }

bool can_pack(const WeightMatrix& matrix) {
  auto code_type = code_type_of(matrix);
  if (!code_type) return false;
  if (is_present(matrix.scales) && !can_scale(matrix.scales.type())) return false;
  if (is_present(matrix.zero_points) && !(is_integer_code(*code_type) && can_be_zero_point(matrix.zero_points.type()))) return false;
  bool plain = is_plain_float(matrix.codes.type()) && !is_present(matrix.scales);
  return plain || !matrix.transposed;
}

bool can_stack(std::span<const WeightMatrix> parts) {
  if (parts.empty() || !can_pack(parts.front())) return false;
  const WeightMatrix& first = parts.front();
  return std::all_of(parts.begin(), parts.end(), [&](const WeightMatrix& part) {
    bool ends_with_panel = &part == &parts.back() || part.rows % kPanelRows == 0;
    bool same_codes = can_pack(part) && code_type_of(part) == code_type_of(first);
    bool same_levels = code_type_of(first) != CodeType::level4 || same_bits(levels_of(part), levels_of(first));
    return ends_with_panel && same_codes && same_levels && part.columns == first.columns && part.group_size == first.group_size;
  });
}

PackedFormat choose_format(const PackRequest& request) {
  if (request.parts.empty()) fail(ErrorKind::invalid_argument, "no weights to pack");
  for (const WeightMatrix& part : request.parts) check(part);
  if (!can_stack(request.parts))
    fail(ErrorKind::invalid_argument, "weights '{}' to '{}' cannot be stacked", request.parts.front().name, request.parts.back().name);
  const WeightMatrix& first = request.parts.front();
  PackedFormat format;
  format.columns = first.columns;
  for (const WeightMatrix& part : request.parts) format.rows += part.rows;
  format.group_size = first.group_size == first.columns ? describe(format).padded_columns() : first.group_size;
  format.code_type = choose_code_type(request);
  format.scale_type = choose_scale_type(request, format.code_type);
  if (format.code_type == CodeType::level4) format.levels = levels_of(first);
  choose_zero_points(request, format);
  return format;
}

}  // namespace nibble::cpu
