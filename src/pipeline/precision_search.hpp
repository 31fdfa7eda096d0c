#pragma once

#include <filesystem>

#include "export/weight_choice.hpp"

namespace nibble {

/// Chooses the precision of every weight by measurement, for a budget of bytes or a limit of the divergence (docs/compression.md), with
/// the tokenizer in `directory` (or of `directory`, a GGUF file).
///
/// One pass over a few samples (try_weights) tells what each weight's coarsest precision does to the logits, and how much less its outputs
/// are off in finer ones; with the sizes that is a knapsack problem (PrecisionPath). The result is compressed, its real size compared with
/// the budget, and its divergence from the source measured on samples that were not used; for a limit of the divergence that is repeated
/// until the smallest model is found that keeps it.
///
/// Throws Error{invalid_argument} for a budget below the smallest size, {unsupported} where no choice keeps the limit (both say what can be
/// had), {exhausted} where the divergence must be measured and the source does not fit in memory, and what compress_weights() throws.
PrecisionSearcher precision_searcher(std::filesystem::path directory);

}  // namespace nibble
