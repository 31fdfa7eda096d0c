#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "base/mapped_file.hpp"
#include "graph/graph.hpp"

namespace nibble {

struct ReadOptions {
  /// Longer XML files are refused: parsing takes up to 20 times their size. Real models have below 1 KB per layer.
  size_t max_xml_bytes = size_t{256} << 20;
  /// The .bin, where the caller has it mapped already.
  std::shared_ptr<const MappedFile> bin = nullptr;
};

/// Reads an OpenVINO IR (docs/formats/openvino-ir.md) of version 10 or 11: `xml`, and the .bin of the same name beside
/// it, which is mapped: constants are views into it and keep it open. Layers that no result depends on are left out.
/// Types and shapes are inferred anew; what ports say is only used for types that inference leaves open.
///
/// Takes any file: throws Error{corrupt} for contradictions, Error{unsupported} for operations that Nibble does not know,
/// Error{not_found} for missing files; messages name the layer. Thread-safe.
Graph read_ir(const std::filesystem::path& xml, ReadOptions options = {});

/// The same from memory. Constants are views of `bin`, which lives as long as `owner`; `where` starts error messages.
Graph read_ir(std::string_view xml_text, std::shared_ptr<const void> owner, std::span<const std::byte> bin, std::string_view where,
              ReadOptions options = {});

}  // namespace nibble
