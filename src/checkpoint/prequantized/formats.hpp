#pragma once

#include "checkpoint/prequantized/layer_reader.hpp"

// One reader for each way in which layers are quantized: it adds the layers that it finds. Tensors that are missing, contradict each other
// or the configuration are Error{corrupt}; variants that are not known are Error{unsupported}. docs/formats/quantized-checkpoints.md
// describes the formats.
namespace nibble {

void read_gptq(LayerReader& reader);
void read_awq(LayerReader& reader);
void read_compressed_tensors(LayerReader& reader);
void read_fp8(LayerReader& reader);
void read_mxfp4(LayerReader& reader);
void read_bitsandbytes(LayerReader& reader);

/// Rows and columns that share a scale; zeros: it depends on how many scales there are.
struct BlockSize {
  int64_t rows = 0, columns = 0;
};

/// The current layer of the reader, whose X.weight holds f8e4m3, f8e5m2 or i8 and whose X<suffix> the scales: one for all, for each row,
/// for each row and group of columns, or for blocks; exponents of an MX format, if they are u8.
GroupedParts read_byte_layer(LayerReader& reader, std::string_view scale_suffix, BlockSize blocks = {});

/// Groups of `count` scales for a row: of the configured size if that fits, else of equal ones. Throws Error{corrupt} otherwise.
ColumnGroups groups_of_count(const LayerReader& reader, int64_t columns, int64_t count, int64_t configured_size);

}  // namespace nibble
