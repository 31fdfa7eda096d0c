#include "ir/writer.hpp"

#include <algorithm>

#include "base/fail.hpp"
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

std::filesystem::path bin_path(const std::filesystem::path& xml) {
  if (xml.extension() != ".xml") fail(ErrorKind::invalid_argument, "{}: the path of an IR ends in .xml", xml.string());
  std::filesystem::path bin = xml;
  return bin.replace_extension(".bin");
}

std::filesystem::path directory_of(const std::filesystem::path& path) { return path.has_parent_path() ? path.parent_path() : "."; }

}  // namespace

void write_ir(const Graph& graph, const std::filesystem::path& xml, Context& context, Progress* progress, WriteOptions options) {
  std::filesystem::path bin = bin_path(xml);
  std::vector<Node*> layers = layers_of(graph);
  if (graph.results().empty()) fail(ErrorKind::invalid_argument, "{}: cannot write a model without a Result", xml.string());
  BinPlan plan(layers);
  std::string text = write_xml(graph, layers, plan);
  require_free_space(directory_of(xml), plan.size() + text.size());
  OutputFile bin_file(bin), xml_file(xml);
  write_bin(plan, bin_file, context.threads(), progress, options.slice_bytes);
  xml_file.append(text);
  bin_file.commit();
  xml_file.commit();
}

uint64_t ir_bin_size(const Graph& graph) { return BinPlan(layers_of(graph)).size(); }

}  // namespace nibble
