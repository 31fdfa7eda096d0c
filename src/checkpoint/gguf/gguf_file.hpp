#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/gguf/ggml_types.hpp"
#include "checkpoint/gguf/gguf_metadata.hpp"
#include "nibble/tensor.hpp"

namespace nibble {

/// A tensor as a GGUF file describes it, checked against the file.
struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  Shape shape;                       ///< the last dimension is the one that lies densely (the file lists it first)
  std::span<const std::byte> bytes;  ///< in the mapped file
};

/// One mapped GGUF file of version 2 or 3, little-endian.
struct GgufFile {
  std::shared_ptr<const MappedFile> file;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  ///< sorted by name
};

/// Maps and checks a file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Throws Error{not_found}, Error{corrupt} where the
/// file contradicts the format, Error{unsupported} for other versions, big-endian files and element types that Nibble does not have.
GgufFile open_gguf_file(const std::filesystem::path& path);

}  // namespace nibble
