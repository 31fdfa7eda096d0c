#include "export/checkpoint_graph.hpp"
#include "export/exporter.hpp"
#include "pipeline/calibration_data.hpp"
#include "pipeline/compression_details.hpp"
#include "pipeline/precision_search.hpp"
#include "pipeline/tokenizer_writer.hpp"

namespace nibble {

ExportReport export_model(const std::filesystem::path& model, const std::filesystem::path& output, const ExportOptions& options,
                          Context& context, Progress* progress) {
  std::string text = options.eval_text.empty() ? "" : read_evaluation_text(options.eval_text);
  CompressionTools tools{calibration_with(model), precision_searcher(model)};
  ExportReport report =
      export_checkpoint(model, output, with_lowest_format(options), tools, tokenizer_writer(options, context), context, progress);
  describe_result(output, report);
  EvaluationSource source{[&] { return build_checkpoint_graph(model, {FloatFormat::stored, options.family, options.adapters}); }, output};
  if (!options.eval_text.empty()) evaluate_result(output, source, text, report, context, progress);
  return report;
}

}  // namespace nibble
