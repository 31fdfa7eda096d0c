#include "pipeline/compression_details.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/usable_memory.hpp"
#include "ir/reader.hpp"
#include "pipeline/held_out.hpp"
#include "pipeline/language_model.hpp"
#include "pipeline/model_loader.hpp"
#include "pipeline/weight_rows.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMostTextBytes = size_t{1} << 30;

uint64_t bin_size(fs::path xml) {
  std::error_code code;
  uint64_t bytes = fs::file_size(xml.replace_extension(".bin"), code);
  return code ? 0 : bytes;
}

uint64_t size_named(const ModelInfo& info, const char* name, uint64_t otherwise) {
  auto found = info.sizes.find(name);
  return found == info.sizes.end() || found->second < 0 ? otherwise : static_cast<uint64_t>(found->second);
}

/// f32 values of the rows of tokens that the CPU device computes at a time: the residual, its norm, queries, keys and values, the results
/// of attention, three of the feed-forward block; and logits of one row.
uint64_t activation_bytes(const ModelInfo& info, uint64_t context_length) {
  constexpr uint64_t kPassRows = 1024;
  uint64_t hidden = size_named(info, "hidden_size", 0), wide = size_named(info, "intermediate_size", 4 * hidden);
  return sizeof(float) * (std::min(context_length, kPassRows) * (6 * hidden + 3 * wide) + size_named(info, "vocab_size", 0));
}

}  // namespace

MemoryEstimate estimate_memory(const ModelInfo& info, uint64_t weight_bytes, int64_t context_length) {
  ModelDiagnosis diagnosis = diagnose_model(info, context_length, usable_memory());
  auto length = static_cast<uint64_t>(diagnosis.context_length);
  return {diagnosis.context_length, weight_bytes, diagnosis.cache_bytes, activation_bytes(info, length)};
}

void describe_result(const fs::path& model, CompressionDetails& details) {
  ModelFiles files = find_model(model);
  uint64_t bytes = bin_size(files.xml);
  details.rows = weight_rows(read_ir(files.xml), bytes);
  details.memory = estimate_memory(inspect_model(model), bytes);
}

std::string read_evaluation_text(const fs::path& file) {
  if (!fs::is_regular_file(file)) fail(ErrorKind::not_found, "{}: there is no such file: the text to evaluate with", file.string());
  return read_file(file, kMostTextBytes);
}

void evaluate_result(const fs::path& model, const EvaluationSource& source, std::string_view text, CompressionDetails& details,
                     Context& context, Progress* progress) {
  Graph reference = source.graph(), result = read_ir(find_model(model).xml);
  uint64_t needed = constant_bytes(reference) + constant_bytes(result), usable = usable_memory();
  if (needed > usable) {
    details.evaluation_obstacle =
        fmt::format("not evaluated: the source and the result together need {:.1f} GB of memory, and {:.1f} GB can be had",
                    static_cast<double>(needed) / 1e9, static_cast<double>(usable) / 1e9);
    return;
  }
  LanguageModel compressed = make_language_model(std::move(result), {}, context);
  LanguageModel original = make_language_model(std::move(reference), {}, context);
  constexpr size_t kWindow = 512;
  details.evaluation = evaluate(compressed, &original, source.tokenizer, text, kWindow, progress);
}

}  // namespace nibble
