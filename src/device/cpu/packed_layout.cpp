#include "device/cpu/packed_layout.hpp"

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

constexpr size_t kMostBytes = size_t{1} << 48;
/// So that no product of a matrix's sizes overflows.
constexpr size_t kMostRowsOrColumns = size_t{1} << 28;

void check_sizes(const PackedFormat& format) {
  bool sound = format.rows > 0 && format.rows <= kMostRowsOrColumns && format.columns > 0 && format.columns <= kMostRowsOrColumns &&
               format.group_size > 0 && format.group_size <= describe(format).padded_columns();
  if (!sound)
    fail(ErrorKind::corrupt, "a packed matrix of {} x {} in groups of {} is too large", format.rows, format.columns, format.group_size);
}

}  // namespace

PackedLayout::PackedLayout(std::vector<PackedFormat> formats) : formats_(std::move(formats)) {
  for (const PackedFormat& format : formats_) {
    check_sizes(format);
    MatrixSections sections;
    sections.codes = place(format.code_bytes());
    sections.scales = place(format.scale_bytes());
    sections.zero_points = place(format.zero_point_bytes());
    sections.levels = place(format.level_bytes());
    sections_.push_back(sections);
    if (bytes_ > kMostBytes) fail(ErrorKind::corrupt, "packed weights of more than {} bytes", kMostBytes);
  }
}

size_t PackedLayout::place(size_t bytes) {
  size_t begin = (bytes_ + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
  if (bytes > 0) bytes_ = begin + bytes;
  return begin;
}

PackedMatrix PackedLayout::matrix(size_t index, const std::byte* memory) const {
  const PackedFormat& format = formats_[index];
  const MatrixSections& sections = sections_[index];
  PackedMatrix matrix = describe(format);
  matrix.codes = memory + sections.codes;
  if (format.scale_type != ScaleType::none) matrix.scales = memory + sections.scales;
  if (format.has_zero_points) matrix.zero_points = reinterpret_cast<const uint8_t*>(memory + sections.zero_points);
  if (format.code_type == CodeType::level4) matrix.levels = reinterpret_cast<const float*>(memory + sections.levels);
  return matrix;
}

}  // namespace nibble::cpu
