#pragma once

#include "export/weight_choice.hpp"
#include "nibble/export.hpp"

namespace nibble {

/// export_model() with the data that it looks at given from outside.
ExportReport export_checkpoint(const std::filesystem::path& model, const std::filesystem::path& output, const ExportOptions& options,
                               const CalibrationFactory& calibration, Context& context, Progress* progress);

}  // namespace nibble
