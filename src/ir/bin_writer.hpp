#pragma once

#include <map>
#include <vector>

#include "base/output_file.hpp"
#include "base/thread_pool.hpp"
#include "ir/bin_plan.hpp"
#include "ir/write_journal.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// A slice of the work: bytes of a view, or rows of a source.
struct BinSlice {
  const BinPlan::Stored* stored = nullptr;
  const BinPlan::Produced* produced = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
};

/// The constants of `plan` in slices of about `slice_bytes`, always the same ones for the same graph.
std::vector<BinSlice> cut_bin(const BinPlan& plan, size_t slice_bytes);

/// What was found while a .bin was written.
struct BinSummary {
  uint64_t kept_bytes = 0;  ///< that were left as they were
  /// Infinite values and those that are not a number, where views have any.
  std::map<const BinPlan::Stored*, uint64_t> not_finite = {};
};

/// Makes and writes the slices, one per thread at a time: memory stays at a few slices per thread however large the model is. The stage
/// "write weights" of `progress` counts bytes. With a journal that continues, slices that are in `file` as they were written are left as
/// they are, and everything else is written, the gaps between constants included.
/// Throws what sources and the file throw, and Error{cancelled}; `file` is then incomplete.
BinSummary write_bin(const BinPlan& plan, std::span<const BinSlice> slices, OutputFile& file, ThreadPool& threads, Progress* progress,
                     WriteJournal* journal = nullptr);

}  // namespace nibble
