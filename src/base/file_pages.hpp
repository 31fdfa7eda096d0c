#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nibble {

/// Which memory of this process is a read-only mapping of a file, as it was when this was made: its pages can be given back at any
/// time and come again from the file. Immutable and thread-safe. Knows nothing (and gives nothing back) on systems other than Linux.
class FilePages {
 public:
  FilePages();

  /// True when the whole range is of such mappings.
  bool cover(std::span<const std::byte> range) const;
  /// Gives back the pages that lie wholly in the range, if they cover it: data that was read once need not stay resident.
  void release(std::span<const std::byte> range) const;

 private:
  struct Mapping {
    uintptr_t begin = 0, end = 0;
  };
  std::vector<Mapping> mappings_;  ///< ascending, neighbours merged
};

}  // namespace nibble
