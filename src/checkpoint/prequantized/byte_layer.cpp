#include "base/fail.hpp"
#include "checkpoint/prequantized/formats.hpp"
#include "checkpoint/prequantized/mx_scales.hpp"

namespace nibble {

namespace {

int64_t blocks_of(int64_t size, int64_t block) { return (size + block - 1) / block; }

void set_scales(GroupedParts& parts, LayerReader& reader, std::string_view suffix, const Tensor& scales, BlockSize blocks) {
  int64_t rows = parts.shape[0], columns = parts.shape[1], count = static_cast<int64_t>(scales.size());
  bool has_blocks = blocks.rows > 0 && blocks.columns > 0;
  Shape in_blocks{has_blocks ? blocks_of(rows, blocks.rows) : 0, has_blocks ? blocks_of(columns, blocks.columns) : 0};
  if (has_blocks && scales.shape() == in_blocks) {
    parts.scales = group_values(scales, {in_blocks[1], 1, blocks.rows});
    parts.groups = groups_of_size(columns, blocks.columns);
  } else if (has_blocks && blocks.rows > 1) {
    reader.require(suffix, scales, in_blocks);
  } else if (count == 1 || (count == rows && scales.shape()[0] == rows)) {
    parts.scales = group_values(scales, {count == 1 ? 0 : 1, 1, 1});
    parts.groups = groups_of_size(columns, columns);
  } else if (scales.rank() == 2 && scales.shape()[0] == rows) {
    parts.scales = group_values(scales, {scales.shape()[1], 1, 1});
    parts.groups = groups_of_count(reader, columns, scales.shape()[1], blocks.columns);
  } else {
    reader.require(suffix, scales, {rows, 1});
  }
}

}  // namespace

ColumnGroups groups_of_count(const LayerReader& reader, int64_t columns, int64_t count, int64_t configured_size) {
  int64_t size = configured_size < 1 ? columns : configured_size;
  if (blocks_of(columns, size) == count) return groups_of_size(columns, size);
  if (columns % count == 0) return groups_of_size(columns, columns / count);  // a layer with a size of its own
  fail(ErrorKind::corrupt, "{}: {} groups of scales for {} inputs in groups of {}", reader.where(), count, columns, size);
}

GroupedParts read_byte_layer(LayerReader& reader, std::string_view scale_suffix, BlockSize blocks) {
  Tensor codes = reader.tensor(".weight", {ElementType::f8e4m3, ElementType::f8e5m2, ElementType::i8}, 2);
  bool is_integer = codes.type() == ElementType::i8;
  GroupedParts parts;
  parts.shape = codes.shape();
  parts.codes = is_integer ? ElementType::u8 : codes.type();
  parts.bits = 8;
  parts.zero = is_integer ? 128 : 0;
  parts.plane = plane_of_bytes(codes, codes.shape()[1], is_integer ? 0x80 : 0);
  if (reader.has(scale_suffix) && reader.info(scale_suffix).type == ElementType::u8) {
    Tensor exponents = reader.tensor(scale_suffix, {ElementType::u8}, 2);
    reader.require(scale_suffix, exponents, {parts.shape[0], parts.shape[1] / 32});
    set_mx_scales(parts, exponents);
    return parts;
  }
  size_t rank = reader.has(scale_suffix) ? reader.info(scale_suffix).shape.size() : 2;
  Tensor scales = reader.tensor(scale_suffix, kScaleTypes, rank);
  parts.scale_type = scale_type_of(scales);
  set_scales(parts, reader, scale_suffix, scales, blocks);
  return parts;
}

}  // namespace nibble
