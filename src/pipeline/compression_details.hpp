#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "graph/graph.hpp"
#include "nibble/compress.hpp"
#include "nibble/context.hpp"
#include "nibble/inspect.hpp"
#include "nibble/progress.hpp"

namespace nibble {

/// Fills in rows and memory of the IR at `model` (a directory or an .xml), whose .bin has been written.
void describe_result(const std::filesystem::path& model, CompressionDetails& details);

/// The estimate for a model of such sizes; context_length 0: the model's own, at most 4096.
MemoryEstimate estimate_memory(const ModelInfo& info, uint64_t weight_bytes, int64_t context_length = 0);

/// The text to evaluate with, read before any work. Throws Error{not_found} or {invalid_argument}.
std::string read_evaluation_text(const std::filesystem::path& file);

/// What a compressed model is compared with.
struct EvaluationSource {
  std::function<Graph()> graph;     ///< made when there is memory for it
  std::filesystem::path tokenizer;  ///< directory (or GGUF file)
};

/// evaluate() of the IR at `model` against its source, as `nibble eval` does it, on the default device. Says so in
/// details.evaluation_obstacle where both do not fit in memory.
void evaluate_result(const std::filesystem::path& model, const EvaluationSource& source, std::string_view text, CompressionDetails& details,
                     Context& context, Progress* progress);

}  // namespace nibble
