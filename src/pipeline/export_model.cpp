#include "export/exporter.hpp"
#include "pipeline/calibration_data.hpp"

namespace nibble {

ExportReport export_model(const std::filesystem::path& model, const std::filesystem::path& output, const ExportOptions& options,
                          Context& context, Progress* progress) {
  return export_checkpoint(model, output, options, calibration_with(model), context, progress);
}

}  // namespace nibble
