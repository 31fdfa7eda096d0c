#include "device/cpu/weight_file_header.hpp"

#include <bit>
#include <cstring>

#include "base/fail.hpp"
#include "device/cpu/packed_layout.hpp"

namespace nibble::cpu {

namespace {

static_assert(std::endian::native == std::endian::little, "the file holds what memory holds");

constexpr std::array<char, 8> kMagic{'N', 'I', 'B', 'B', 'L', 'E', 'P', 'W'};
constexpr size_t kPage = 4096;

struct FileStart {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kWeightFileVersion;
  uint32_t matrices = 0, ranges = 0, model_name_bytes = 0;
  uint64_t key_high = 0, key_low = 0;
  uint64_t data_offset = 0, data_bytes = 0;
  uint64_t header_hash = 0;  // of the header with zero in this place
};
static_assert(sizeof(FileStart) == 64);

struct MatrixRecord {
  uint8_t code_type = 0, scale_type = 0, has_zero_points = 0, zero_point = 0;
  uint32_t reserved = 0;
  uint64_t rows = 0, columns = 0, group_size = 0;
};
static_assert(sizeof(MatrixRecord) == 32);
static_assert(sizeof(DataRange) == 24);
// The numbers of the types are part of the file.
static_assert(static_cast<int>(CodeType::u4) == 0 && static_cast<int>(CodeType::f32) == 6 && static_cast<int>(ScaleType::f32) == 2);

size_t header_bytes(size_t matrices, size_t ranges, size_t model_name_bytes) {
  return sizeof(FileStart) + matrices * sizeof(MatrixRecord) + ranges * sizeof(DataRange) + model_name_bytes;
}

MatrixRecord to_record(const PackedFormat& format) {
  MatrixRecord record;
  record.code_type = static_cast<uint8_t>(format.code_type);
  record.scale_type = static_cast<uint8_t>(format.scale_type);
  record.has_zero_points = format.has_zero_points;
  record.zero_point = format.zero_point;
  record.rows = format.rows;
  record.columns = format.columns;
  record.group_size = format.group_size;
  return record;
}

PackedFormat to_format(const MatrixRecord& record, const std::filesystem::path& path) {
  if (record.code_type > static_cast<uint8_t>(CodeType::f32) || record.scale_type > static_cast<uint8_t>(ScaleType::f32))
    fail(ErrorKind::corrupt, "{}: unknown types of codes {} and scales {}", path.string(), record.code_type, record.scale_type);
  bool needs_scales = record.code_type < static_cast<uint8_t>(CodeType::f8e4m3);
  if (needs_scales && record.scale_type == 0) fail(ErrorKind::corrupt, "{}: integers or levels without scales", path.string());
  PackedFormat format;
  format.code_type = static_cast<CodeType>(record.code_type);
  format.scale_type = static_cast<ScaleType>(record.scale_type);
  format.has_zero_points = record.has_zero_points != 0;
  format.zero_point = record.zero_point;
  format.rows = record.rows;
  format.columns = record.columns;
  format.group_size = record.group_size;
  return format;
}

template <class T>
void append(std::vector<std::byte>& out, const T* values, size_t count) {
  size_t at = out.size();
  out.resize(at + count * sizeof(T));
  if (count > 0) std::memcpy(out.data() + at, values, count * sizeof(T));
}

uint64_t header_hash(std::vector<std::byte> header) {
  constexpr size_t kAt = offsetof(FileStart, header_hash);
  std::memset(header.data() + kAt, 0, sizeof(uint64_t));
  return hash64(header);
}

template <class T>
T take(std::span<const std::byte>& from) {
  T value;
  std::memcpy(&value, from.data(), sizeof(T));
  from = from.subspan(sizeof(T));
  return value;
}

FileStart read_start(std::span<const std::byte> file, const std::filesystem::path& path) {
  if (file.size() < sizeof(FileStart)) fail(ErrorKind::corrupt, "{}: only {} bytes long", path.string(), file.size());
  auto start = take<FileStart>(file);
  if (start.magic != kMagic) fail(ErrorKind::corrupt, "{}: not a file of packed weights", path.string());
  if (start.version != kWeightFileVersion)
    fail(ErrorKind::corrupt, "{}: version {}, this program reads {}", path.string(), start.version, kWeightFileVersion);
  return start;
}

/// The header's bytes, once its sizes and its checksum are known to be sound.
std::span<const std::byte> checked_header(const FileStart& start, std::span<const std::byte> file, const std::filesystem::path& path) {
  size_t bytes = header_bytes(start.matrices, start.ranges, start.model_name_bytes);
  if (bytes > file.size()) fail(ErrorKind::corrupt, "{}: ends within its header", path.string());
  auto header = file.first(bytes);
  if (header_hash({header.begin(), header.end()}) != start.header_hash)
    fail(ErrorKind::corrupt, "{}: the checksum of its header is wrong", path.string());
  if (start.data_offset != data_offset(start.matrices, start.ranges, start.model_name_bytes) || start.data_offset > file.size() ||
      file.size() - start.data_offset != start.data_bytes)
    fail(ErrorKind::corrupt, "{}: {} bytes long, {} expected", path.string(), file.size(), start.data_offset + start.data_bytes);
  return header;
}

/// Every byte of data must have a checksum, but for the gaps between sections.
void check_ranges(const WeightFileHeader& header, const std::filesystem::path& path) {
  uint64_t end = 0;
  for (const DataRange& range : header.ranges) {
    bool follows = range.offset >= end && range.offset - end < kSectionAlignment;
    if (!follows || range.bytes > header.data_bytes || range.offset > header.data_bytes - range.bytes)
      fail(ErrorKind::corrupt, "{}: checksums do not cover the data", path.string());
    end = range.offset + range.bytes;
  }
  if (end != header.data_bytes) fail(ErrorKind::corrupt, "{}: checksums do not cover the data", path.string());
}

}  // namespace

uint64_t data_offset(size_t matrices, size_t ranges, size_t model_name_bytes) {
  return (header_bytes(matrices, ranges, model_name_bytes) + kPage - 1) / kPage * kPage;
}

std::vector<std::byte> encode(const WeightFileHeader& header) {
  FileStart start;
  start.matrices = static_cast<uint32_t>(header.formats.size());
  start.ranges = static_cast<uint32_t>(header.ranges.size());
  start.model_name_bytes = static_cast<uint32_t>(header.model_name.size());
  start.key_high = header.key.high;
  start.key_low = header.key.low;
  start.data_offset = data_offset(header.formats.size(), header.ranges.size(), header.model_name.size());
  start.data_bytes = header.data_bytes;
  std::vector<std::byte> bytes;
  append(bytes, &start, 1);
  for (const PackedFormat& format : header.formats) {
    MatrixRecord record = to_record(format);
    append(bytes, &record, 1);
  }
  append(bytes, header.ranges.data(), header.ranges.size());
  append(bytes, header.model_name.data(), header.model_name.size());
  start.header_hash = header_hash(bytes);
  std::memcpy(bytes.data(), &start, sizeof(start));
  return bytes;
}

WeightFileHeader decode(std::span<const std::byte> file, const std::filesystem::path& path) {
  FileStart start = read_start(file, path);
  std::span<const std::byte> rest = checked_header(start, file, path).subspan(sizeof(FileStart));
  WeightFileHeader header;
  header.key = {start.key_high, start.key_low};
  header.data_bytes = start.data_bytes;
  for (uint32_t i = 0; i < start.matrices; ++i) header.formats.push_back(to_format(take<MatrixRecord>(rest), path));
  for (uint32_t i = 0; i < start.ranges; ++i) header.ranges.push_back(take<DataRange>(rest));
  header.model_name.assign(reinterpret_cast<const char*>(rest.data()), rest.size());
  check_ranges(header, path);
  return header;
}

}  // namespace nibble::cpu
