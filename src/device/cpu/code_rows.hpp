#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cpu/kernels/packed_matrix.hpp"
#include "device/cpu/part_reader.hpp"

namespace nibble::cpu {

/// Bytes of a row of codes before rows are interleaved: as in a panel.
size_t row_bytes(CodeType type, size_t columns);

/// Converts a row of codes to the packed type, in the order that it has in a panel, followed by zeros to row_bytes(type, padded columns).
void convert_row(const Elements& row, CodeType type, size_t padded_columns, std::byte* out);

}  // namespace nibble::cpu
