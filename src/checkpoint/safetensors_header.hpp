#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/tensor.hpp"

namespace nibble {

/// What the header of a safetensors file says of one tensor.
struct SafetensorsEntry {
  ElementType type = ElementType::dynamic;
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< bytes within the data that follow the header
};

/// The header of a safetensors file: tensors by name and the strings of "__metadata__".
struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads the JSON text of a header. Throws Error{corrupt} or Error{unsupported}; `file` names the file in messages.
/// Time and memory are proportional to the text.
SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& file);

/// Throws Error{corrupt} unless each tensor takes as many bytes as its type and shape say and together they cover `data_bytes` bytes
/// without overlaps, holes or a remainder, as the format demands.
void check_safetensors_layout(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& file);

}  // namespace nibble
