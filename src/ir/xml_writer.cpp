#include "ir/xml_writer.hpp"

#include <algorithm>
#include <array>
#include <pugixml.hpp>

#include "base/fail.hpp"
#include "graph/op_set.hpp"
#include "ir/rt_info_xml.hpp"
#include "ir/tensor_names.hpp"

namespace nibble {

namespace {

struct StringSink : pugi::xml_writer {
  std::string text;
  void write(const void* data, size_t size) override { text.append(static_cast<const char*>(data), size); }
};

void set(pugi::xml_node xml, std::string_view name, std::string_view value) {
  xml.append_attribute(std::string(name).c_str()) = std::string(value).c_str();
}

void set(pugi::xml_node xml, const char* name, uint64_t value) { xml.append_attribute(name) = static_cast<unsigned long long>(value); }

/// What a Const's <data> says beyond its own attributes; readers need nothing else to find the value.
Attributes data_of(const Node& node, const BinPlan& plan) {
  if (!node.is("Constant")) return node.attributes();
  const ConstantValue& value = node.constant();
  Attributes data{{"element_type", std::string(to_string(value.type()))},
                  {"shape", attribute_text(value.shape())},
                  {"offset", std::to_string(plan.offset(node))},
                  {"size", std::to_string(value.byte_size())}};
  for (const auto& [name, text] : node.attributes().entries())
    if (!data.find(name)) data.set(name, text);
  return data;
}

/// A port does not tell a scalar from an unknown rank: both have no <dim>.
void add_port(pugi::xml_node side, size_t id, Value value, const std::set<std::string>& names) {
  pugi::xml_node port = side.append_child("port");
  set(port, "id", id);
  set(port, "precision", to_precision(value.type()));
  if (!names.empty()) set(port, "names", join_tensor_names(names));
  for (int64_t dim : value.shape().dims()) port.append_child("dim").text() = static_cast<long long>(dim);
}

void add_inputs(pugi::xml_node layer, const Node& node) {
  if (node.input_count() == 0) return;
  pugi::xml_node side = layer.append_child("input");
  for (size_t i = 0; i < node.input_count(); ++i) {
    if (!node.input(i)) fail(ErrorKind::invalid_argument, "cannot write {}: input {} is not connected", describe(node), i);
    add_port(side, i, node.input(i), {});
  }
}

void add_outputs(pugi::xml_node layer, Node& node) {
  if (node.is("Result") || node.output_count() == 0) return;
  pugi::xml_node side = layer.append_child("output");
  for (size_t i = 0; i < node.output_count(); ++i) add_port(side, node.input_count() + i, node.output(i), node.output_info(i).names);
}

void add_layer(pugi::xml_node layers, size_t id, Node& node, const BinPlan& plan) {
  pugi::xml_node layer = layers.append_child("layer");
  set(layer, "id", id);
  set(layer, "name", node.name());
  set(layer, "type", ir_type_name(node.type()));
  set(layer, "version", node.opset());
  if (node.is("Result") && !node.output_info().names.empty()) set(layer, "output_names", join_tensor_names(node.output_info().names));
  Attributes data = data_of(node, plan);
  if (!data.entries().empty()) {
    pugi::xml_node element = layer.append_child("data");
    for (const auto& [name, value] : data.entries()) set(element, name, value);
  }
  if (!node.rt_info().empty()) write_rt_attributes(node.rt_info(), layer.append_child("rt_info"));
  add_inputs(layer, node);
  add_outputs(layer, node);
}

/// from-layer, from-port, to-layer, to-port
using Edge = std::array<size_t, 4>;

std::vector<Edge> edges_of(std::span<Node* const> layers) {
  std::unordered_map<const Node*, size_t> ids;
  for (size_t i = 0; i < layers.size(); ++i) ids.emplace(layers[i], i);
  std::vector<Edge> edges;
  for (size_t to = 0; to < layers.size(); ++to)
    for (size_t i = 0; i < layers[to]->input_count(); ++i) {
      Value from = layers[to]->input(i);
      edges.push_back({ids.at(from.node), from.node->input_count() + from.index, to, i});
    }
  std::sort(edges.begin(), edges.end());
  return edges;
}

void add_edge(pugi::xml_node edges, const Edge& edge) {
  constexpr std::array kNames{"from-layer", "from-port", "to-layer", "to-port"};
  pugi::xml_node element = edges.append_child("edge");
  for (size_t i = 0; i < edge.size(); ++i) set(element, kNames[i], edge[i]);
}

}  // namespace

std::string write_xml(const Graph& graph, std::span<Node* const> layers, const BinPlan& plan) {
  pugi::xml_document document;
  pugi::xml_node net = document.append_child("net");
  set(net, "name", graph.name());
  set(net, "version", uint64_t{11});
  pugi::xml_node layers_xml = net.append_child("layers");
  for (size_t i = 0; i < layers.size(); ++i) add_layer(layers_xml, i, *layers[i], plan);
  pugi::xml_node edges_xml = net.append_child("edges");
  for (const Edge& edge : edges_of(layers)) add_edge(edges_xml, edge);
  write_rt_info(graph.rt_info(), net.append_child("rt_info"));
  StringSink sink;
  document.save(sink, "\t", pugi::format_default, pugi::encoding_utf8);
  return std::move(sink.text);
}

}  // namespace nibble
