#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "graph/graph.hpp"
#include "ir/write_journal.hpp"
#include "nibble/context.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// A .bin that can be gone on with when its writer is killed. Its directory is one that is not committed yet.
struct ResumableWrite {
  std::filesystem::path journal;
  WriteIdentity identity;  ///< all but the graph
  /// Takes over what is there, where journal and bytes say that it is the same; warns where another identity stands in the way.
  bool continues = false;
};

struct WriteOptions {
  /// Constants are made and written in slices of about this many bytes (input and output together), one per thread at a time.
  size_t slice_bytes = size_t{4} << 20;
  /// That will be written on the same disk afterwards.
  uint64_t bytes_beside = 0;
  std::optional<ResumableWrite> resumable = {};
};

struct WriteResult {
  uint64_t kept_bytes = 0;  ///< that an earlier run had written
  /// Infinite values and those that are not a number, by the names of the (named, not lazy) constants that hold them.
  std::map<std::string, uint64_t> not_finite;
};

/// Writes `graph` as an OpenVINO IR of version 11: `xml` (a path ending in .xml) and the .bin beside it, as
/// docs/formats/openvino-ir.md describes them. Files of these names are replaced, whole or not at all; constants mapped from
/// them stay valid. Lazy constants are produced in parallel on the context's threads with bounded memory. The stage
/// "write weights" of `progress` counts bytes.
/// Throws Error{exhausted} before any work when the disk is too full, Error{cancelled} when `progress` asks for it, and
/// Error{invalid_argument} for a graph that is not fully connected or has no Result. Two calls must not write the same path at a time.
WriteResult write_ir(const Graph& graph, const std::filesystem::path& xml, Context& context, Progress* progress = nullptr,
                     WriteOptions options = {});

/// Bytes that the .bin of `graph` will have: for a look at the disk before any other work.
uint64_t ir_bin_size(const Graph& graph);

}  // namespace nibble
