#pragma once

#include "base/output_file.hpp"
#include "base/thread_pool.hpp"
#include "ir/bin_plan.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// Makes and writes the constants of `plan` in slices of about `slice_bytes`, one per thread at a time: memory stays at a few slices per
/// thread however large the model is. The stage "write weights" of `progress` counts bytes. Throws what sources and the file throw, and
/// Error{cancelled}; `file` is then incomplete.
void write_bin(const BinPlan& plan, OutputFile& file, ThreadPool& threads, Progress* progress, size_t slice_bytes);

}  // namespace nibble
