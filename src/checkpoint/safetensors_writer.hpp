#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "nibble/tensor.hpp"

namespace nibble {

/// Writes a safetensors file that appears whole or not at all. Wider element types come first, so that every tensor is aligned to its
/// type. Throws Error{unsupported} for types that the format does not have (u4, nf4, string, ...), Error{invalid_argument} for names
/// that are not UTF-8.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace nibble
