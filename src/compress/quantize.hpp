#pragma once

#include <span>
#include <vector>

#include "compress/compression_mode.hpp"
#include "compress/quantize_kernels.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// A weight of this many elements takes NNCF's other code path, which treats tiny scales and powers of two differently.
inline constexpr size_t kLargeWeight = 10000;

/// Ascending levels that weights are rounded to after scaling, and the midpoints between them.
struct LevelTable {
  std::vector<float> levels;
  std::vector<float> thresholds;  ///< one fewer than levels; the code of x is the number of thresholds below x
  float largest = 1;              ///< largest magnitude of a level, which the scale maps the largest weight to
};

/// The table of nf4 or cb4.
const LevelTable& standard_levels(CompressWeightsMode mode);
/// The table of a user's codebook: 1-D, sorted, unique, 2 to 256 entries of i8, u8, f16, bf16, f32 or f8. Throws
/// Error{invalid_argument} or {unsupported} otherwise. Midpoints of an f16 codebook are rounded to f16, as NNCF does.
LevelTable codebook_levels(const Tensor& codebook);
/// The table of ascending levels, which may repeat, with midpoints in f32.
LevelTable level_table(std::span<const float> levels);
/// The levels of cb4 as f8e4m3, the type they are stored in.
Tensor cb4_codebook();

/// Everything that the arithmetic of a weight depends on.
struct QuantizeRule {
  CompressWeightsMode mode = CompressWeightsMode::int8_asym;
  size_t group_size = 1;               ///< consecutive weights that share a scale
  bool large = false;                  ///< the whole weight has at least kLargeWeight elements
  const LevelTable* levels = nullptr;  ///< modes with levels only
};

/// Where results go: a byte per weight, and a scale and a zero point (asymmetric modes, else empty) per group.
struct QuantizedGroups {
  std::span<uint8_t> codes;
  std::span<float> scales;
  std::span<uint8_t> zero_points;
};

/// Quantizes whole groups: weights.size() is a multiple of the group size. Scales are the f32 values that the codes were made
/// with, before they are rounded for storage. Pure; NNCF 3.4's arithmetic (docs/quantization.md), bit for bit.
void quantize_groups(std::span<const float> weights, const QuantizeRule& rule, const QuantizedGroups& out,
                     const QuantizeKernels& kernels = quantize_kernels());

/// Codes of integer and level modes for given scales and zero points (asymmetric modes; whole numbers).
void encode_groups(std::span<const float> weights, const QuantizeRule& rule, std::span<const float> scales,
                   std::span<const uint8_t> zero_points, std::span<uint8_t> codes, const QuantizeKernels& kernels = quantize_kernels());

/// Scales of the floating and level modes alone.
void float_scales(std::span<const float> weights, const QuantizeRule& rule, std::span<float> scales,
                  const QuantizeKernels& kernels = quantize_kernels());

/// f32 scale of the f8e4m3 scales of nvfp4, from the largest of `scale_count` group scales.
float second_order_scale(float largest_scale, size_t scale_count);

/// Writes codes as elements [first, first + codes.size()) of packed data of any type up to 8 bits. The rest of bytes that are
/// covered in part is kept.
void pack_codes(ElementType type, std::span<const uint8_t> codes, std::byte* out, size_t first,
                const QuantizeKernels& kernels = quantize_kernels());

}  // namespace nibble
