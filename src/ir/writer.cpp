#include "ir/writer.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "base/output_file.hpp"
#include "ir/bin_plan.hpp"
#include "ir/bin_writer.hpp"
#include "ir/xml_writer.hpp"

namespace nibble {

namespace {

/// OpenVINO's order: Parameters, ordinary nodes, Assigns, Results; inputs and outputs of the model keep theirs.
std::vector<Node*> layers_of(const Graph& graph) {
  auto rank = [](const Node* node) { return node->is("Parameter") ? 0 : node->is("Assign") ? 2 : node->is("Result") ? 3 : 1; };
  std::vector<Node*> layers = graph.topological_order();
  std::stable_sort(layers.begin(), layers.end(), [&](const Node* a, const Node* b) { return rank(a) < rank(b); });
  return layers;
}

void require_xml(const std::filesystem::path& xml) {
  if (xml.extension() != ".xml") fail(ErrorKind::invalid_argument, "{}: the path of an IR ends in .xml", xml.string());
}

std::filesystem::path bin_path(std::filesystem::path xml) { return xml.replace_extension(".bin"); }

std::string hex_hash(std::string_view text) { return to_hex(hash128(std::as_bytes(std::span(text.data(), text.size())))); }

/// By the names of the constants.
std::map<std::string, uint64_t> named(const std::map<const BinPlan::Stored*, uint64_t>& counts, const BinPlan& plan, const Graph& graph) {
  std::map<std::string, uint64_t> result;
  if (counts.empty()) return result;
  for (const Node* node : graph.of_type("Constant")) {
    if (node->name().empty() || node->constant().is_lazy()) continue;
    for (const auto& [stored, count] : counts)
      if (stored->offset == plan.offset(*node)) result[node->name()] = count;
  }
  return result;
}

BinSummary write_at_once(const BinPlan& plan, std::string_view text, const std::filesystem::path& xml, Context& context, Progress* progress,
                         const WriteOptions& options) {
  OutputFile bin_file(bin_path(xml)), xml_file(xml);
  bin_file.reserve(plan.size(), text.size() + options.bytes_beside);
  BinSummary summary = write_bin(plan, cut_bin(plan, options.slice_bytes), bin_file, context.threads(), progress);
  xml_file.append(text);
  bin_file.commit();
  xml_file.commit();
  return summary;
}

BinSummary write_resumable(const BinPlan& plan, std::string_view text, const std::filesystem::path& xml, Context& context,
                           Progress* progress, const WriteOptions& options) {
  std::vector<BinSlice> slices = cut_bin(plan, options.slice_bytes);
  WriteIdentity identity = options.resumable->identity;
  identity.emplace_back("another graph", fmt::format("{} {} {}", hex_hash(text), options.slice_bytes, slices.size()));
  WriteJournal journal(options.resumable->journal, identity, slices.size(), options.resumable->continues);
  if (!journal.refusal().empty())
    context.log(LogLevel::warning, fmt::format("{}: was begun with {}, so it is begun again",
                                               options.resumable->journal.parent_path().string(), journal.refusal()));
  OutputFile file(bin_path(xml), OutputFile::InPlace{});
  if (!journal.continues()) file.truncate(0);
  file.reserve(plan.size(), text.size() + options.bytes_beside);
  BinSummary summary = write_bin(plan, slices, file, context.threads(), progress, &journal);
  file.commit();
  write_file(xml, text);
  return summary;
}

}  // namespace

WriteResult write_ir(const Graph& graph, const std::filesystem::path& xml, Context& context, Progress* progress, WriteOptions options) {
  require_xml(xml);
  std::vector<Node*> layers = layers_of(graph);
  if (graph.results().empty()) fail(ErrorKind::invalid_argument, "{}: cannot write a model without a Result", xml.string());
  BinPlan plan(layers);
  std::string text = write_xml(graph, layers, plan);
  auto write = options.resumable ? write_resumable : write_at_once;
  BinSummary summary = write(plan, text, xml, context, progress, options);
  return {summary.kept_bytes, named(summary.not_finite, plan, graph)};
}

uint64_t ir_bin_size(const Graph& graph) { return BinPlan(layers_of(graph)).size(); }

}  // namespace nibble
