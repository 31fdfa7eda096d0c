#pragma once

#include <functional>

#include "export/weight_choice.hpp"
#include "nibble/export.hpp"

namespace nibble {

/// Writes into the directory that is about to appear what only folders above this one can make; returns notes for the report.
using FurtherFiles = std::function<std::vector<std::string>(const std::filesystem::path& directory)>;

/// export_model() with the data that it looks at given from outside, and `more` called when all else is written.
ExportReport export_checkpoint(const std::filesystem::path& model, const std::filesystem::path& output, const ExportOptions& options,
                               const CompressionTools& tools, const FurtherFiles& more, Context& context, Progress* progress);

}  // namespace nibble
