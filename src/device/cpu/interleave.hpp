#pragma once

#include <cstddef>
#include <cstdint>

namespace nibble::cpu {

/// Lays the 16 rows of a panel side by side: out[16 j + r] = rows[r * stride + j] for `count` words of each row.
/// `count` is a multiple of 4.
void interleave_panel(const uint32_t* rows, size_t stride, size_t count, uint32_t* out);
/// `count` is a multiple of 8.
void interleave_panel(const uint16_t* rows, size_t stride, size_t count, uint16_t* out);

}  // namespace nibble::cpu
