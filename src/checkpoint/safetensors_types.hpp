#pragma once

#include <optional>
#include <string_view>

#include "nibble/tensor.hpp"

namespace nibble {

/// "BF16", "F8_E4M3", ... of a safetensors header; nothing for types that Nibble does not have (F6_*, C64, *FNUZ).
std::optional<ElementType> parse_safetensors_type(std::string_view name);
/// The safetensors name of a type; empty for types that the format does not have (u4, nf4, ...).
std::string_view safetensors_type_name(ElementType type);

}  // namespace nibble
