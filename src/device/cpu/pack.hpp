#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cpu/packed_format.hpp"

namespace nibble::cpu {

/// Where panels go: pointers to the first of them in each section; those of absent sections are not used.
struct PackedSlice {
  std::byte* codes = nullptr;
  std::byte* scales = nullptr;
  uint8_t* zero_points = nullptr;
};

/// Packs panels of one part (counted from the part's first row) of a request, as kernels/packed_matrix.hpp says. Thread-safe for disjoint
/// slices. A transposed part of a lazy constant is made whole for every slice. Throws Error{unsupported} for a zero point that a byte
/// cannot hold.
void pack_panels(const PackedFormat& format, const WeightMatrix& part, Range panels, const PackedSlice& out);

}  // namespace nibble::cpu
