#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "device/cpu/packed_format.hpp"
#include "device/cpu/weight_packing.hpp"

namespace nibble::cpu {

/// The version of the file and of what is in it: grows when the layout of kernels/packed_matrix.hpp, the choice of formats or the file
/// changes. Part of every key.
constexpr uint32_t kWeightFileVersion = 1;

/// What stands before the data of a file of packed weights.
struct WeightFileHeader {
  Hash128 key;
  std::string model_name;
  std::vector<PackedFormat> formats;  ///< without levels: those are data
  std::vector<DataRange> ranges;
  uint64_t data_bytes = 0;
};

/// Where the data start.
uint64_t data_offset(size_t matrices, size_t ranges, size_t model_name_bytes);

/// The bytes of a header, without the padding after it.
std::vector<std::byte> encode(const WeightFileHeader& header);

/// The header of a whole file. Throws Error{corrupt} naming `path`.
WeightFileHeader decode(std::span<const std::byte> file, const std::filesystem::path& path);

}  // namespace nibble::cpu
