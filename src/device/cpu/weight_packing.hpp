#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/file_pages.hpp"
#include "base/output_file.hpp"
#include "base/thread_pool.hpp"
#include "device/cpu/packed_layout.hpp"

namespace nibble::cpu {

/// A piece of the block and the hash64 of its bytes.
struct DataRange {
  uint64_t offset = 0, bytes = 0, hash = 0;
};

/// Packs requests into one block, a slice of panels at a time on every thread. What the weights' files lent is given back behind, so that
/// little more than the packed weights is ever resident. Not thread-safe; the requests must outlive it.
class WeightPacking {
 public:
  /// Chooses the formats. Throws as choose_format does.
  WeightPacking(std::span<const PackRequest> requests, ThreadPool& threads);

  const PackedLayout& layout() const { return layout_; }

  /// Into zeroed memory of layout().bytes() bytes.
  void pack_into(std::byte* memory);

  /// Into a file where the block starts at `offset`. Returns what was written, ascending and without overlaps: all but the gaps between
  /// sections.
  std::vector<DataRange> pack_into(OutputFile& file, uint64_t offset);
  /// How many ranges that returns.
  size_t range_count() const;

 private:
  /// Panels of one part; panel 0 of the part is panel `first_panel` of the matrix.
  struct Slice {
    size_t request = 0, part = 0, first_panel = 0;
    Range panels;
  };
  /// Bytes of the sections that a slice makes: [0] codes, [1] scales, [2] zero points.
  struct Pieces;

  void cut(size_t request);
  const WeightMatrix& part_of(const Slice& slice) const { return requests_[slice.request].parts[slice.part]; }
  Pieces pieces_of(const Slice& slice) const;
  std::array<DataRange, 3> pack_slice(const Slice& slice, OutputFile& file, uint64_t offset) const;
  void release_sources(const Slice& slice) const;
  void write_levels(OutputFile& file, uint64_t offset, std::vector<DataRange>& written) const;

  std::span<const PackRequest> requests_;
  ThreadPool& threads_;
  FilePages file_pages_;
  PackedLayout layout_;
  std::vector<Slice> slices_;
};

}  // namespace nibble::cpu
