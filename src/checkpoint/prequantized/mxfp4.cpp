// MXFP4 of gpt-oss: X_blocks u8 [experts, out, groups, 16], two f4e2m1 in a byte, the first in the low half; X_scales u8
// [experts, out, groups], exponents with an offset of 127.
#include "base/fail.hpp"
#include "checkpoint/prequantized/formats.hpp"
#include "checkpoint/prequantized/mx_scales.hpp"

namespace nibble {

namespace {

constexpr int64_t kGroup = 32;

GroupedParts read_layer(LayerReader& reader) {
  size_t rank = reader.info("_blocks").shape.size();
  if (rank != 3) rank = 4;
  Tensor blocks = reader.tensor("_blocks", {ElementType::u8}, rank), scales = reader.tensor("_scales", {ElementType::u8}, rank - 1);
  Shape groups(blocks.shape().begin(), blocks.shape().end() - 1), expected = groups;
  expected.push_back(kGroup / 2);
  reader.require("_blocks", blocks, expected);
  reader.require("_scales", scales, groups);
  GroupedParts parts;
  parts.shape = Shape(groups.begin(), groups.end() - 1);
  parts.shape.push_back(groups.back() * kGroup);
  parts.codes = ElementType::f4e2m1;
  parts.plane = plane_of_nibbles(blocks, parts.shape.back(), FirstNibble::low);
  set_mx_scales(parts, scales);
  return parts;
}

}  // namespace

void read_mxfp4(LayerReader& reader) {
  for (const std::string& layer : reader.layers("_blocks")) {
    reader.begin(layer);
    reader.add(layer + ".weight", make_grouped_matrix(read_layer(reader)));
  }
}

}  // namespace nibble
