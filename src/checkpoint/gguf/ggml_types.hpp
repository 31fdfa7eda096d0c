#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "nibble/tensor.hpp"

namespace nibble {

/// An element type of ggml: plain numbers, or blocks of codes that share scales.
struct GgmlType {
  using Decode = void (*)(const uint8_t* blocks, size_t count, float* out);

  uint32_t number = 0;  ///< in files
  std::string_view name;
  uint32_t block_elements = 1, block_bytes = 0;
  ElementType plain = ElementType::dynamic;  ///< dynamic: blocks
  Decode decode = nullptr;                   ///< blocks: writes count * block_elements numbers
};

/// Nothing for numbers that stand for no type, for one that was taken back or for one that is not supported.
const GgmlType* find_ggml_type(uint32_t number);

}  // namespace nibble
