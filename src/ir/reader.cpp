#include "ir/reader.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <pugixml.hpp>
#include <string>
#include <system_error>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "graph/op_set.hpp"
#include "ir/layer_table.hpp"
#include "ir/rt_info_xml.hpp"
#include "ir/tensor_names.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxAttributes = 256;  // of one layer; real ones have below 20
constexpr size_t kMaxRank = 64;         // keeps a hostile shape from being copied through thousands of nodes

/// Where constants come from.
struct Weights {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
  bool missing = false;
};

class Reader {
 public:
  Reader(pugi::xml_node net, const Weights& weights, std::string_view where)
      : net_(net), weights_(weights), where_(where), table_(net, where), nodes_(table_.layers().size()) {}

  Graph read();

 private:
  void add_nodes(const std::vector<size_t>& order);
  Node& add_node(const IrLayer& layer);
  Attributes read_attributes(const IrLayer& layer) const;
  Tensor read_constant(const IrLayer& layer, const Attributes& attributes) const;
  std::span<const std::byte> constant_bytes(const IrLayer& layer, uint64_t offset, uint64_t size) const;
  void read_names(const IrLayer& layer, Node& node) const;
  void link(size_t index);
  void infer(const IrLayer& layer, Node& node) const;
  void use_port_types(const IrLayer& layer, Node& node) const;

  template <class Work>
  auto at(const IrLayer& layer, Work work) const;
  template <class... Args>
  [[noreturn]] void fail_layer(ErrorKind kind, const IrLayer& layer, fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(kind, where_, layer, fmt::format(format, std::forward<Args>(args)...));
  }

  pugi::xml_node net_;
  const Weights& weights_;
  std::string_view where_;
  LayerTable table_;
  Graph graph_;
  std::vector<Node*> nodes_;  // by position in the table; null where nothing depends on the layer
};

/// Runs `work`; an error gets the place in the file instead of the node's own description.
template <class Work>
auto Reader::at(const IrLayer& layer, Work work) const {
  try {
    return work();
  } catch (const Error& error) {
    std::string_view message = error.what();
    size_t known = message.find(fmt::format("'{}': ", layer.name));
    if (known != std::string_view::npos && known < 64) message.remove_prefix(known + layer.name.size() + 4);
    fail_at(error.kind(), where_, layer, message);
  }
}

Attributes Reader::read_attributes(const IrLayer& layer) const {
  Attributes attributes;
  for (pugi::xml_attribute attribute : layer.xml.child("data").attributes()) {
    if (attributes.find(attribute.name())) fail_layer(ErrorKind::corrupt, layer, "attribute {} is there twice", attribute.name());
    if (attributes.entries().size() == kMaxAttributes) fail_layer(ErrorKind::corrupt, layer, "has more than {} attributes", kMaxAttributes);
    attributes.set(attribute.name(), attribute.value());
  }
  return attributes;
}

std::span<const std::byte> Reader::constant_bytes(const IrLayer& layer, uint64_t offset, uint64_t size) const {
  if (size > 0 && weights_.missing)
    fail_layer(ErrorKind::not_found, layer, "its value is in the .bin file, which is missing; put it beside the .xml under the same name");
  size_t available = weights_.bytes.size();
  if (offset > available || size > available - offset)
    fail_layer(ErrorKind::corrupt, layer, "its value is at bytes {} to {}+{} of the .bin file, which has {}; the file may be truncated",
               offset, offset, size, available);
  return weights_.bytes.subspan(offset, size);
}

Tensor Reader::read_constant(const IrLayer& layer, const Attributes& attributes) const {
  for (const char* name : {"element_type", "shape", "offset", "size"})
    if (!attributes.find(name)) fail_layer(ErrorKind::corrupt, layer, "a Const needs the attribute {}", name);
  uint64_t offset = 0, size = 0;
  if (!parse_unsigned(*attributes.find("offset"), offset) || !parse_unsigned(*attributes.find("size"), size))
    fail_layer(ErrorKind::corrupt, layer, "offset=\"{}\" size=\"{}\" are not numbers of bytes", *attributes.find("offset"),
               *attributes.find("size"));
  std::span<const std::byte> bytes = constant_bytes(layer, offset, size);
  return at(layer, [&] {
    ElementType type = attributes.get_type("element_type", ElementType::dynamic);
    if (type == ElementType::dynamic) fail(ErrorKind::corrupt, "a Const cannot have a dynamic type");
    Shape shape = attributes.get_ints("shape");
    if (shape.size() > kMaxRank) fail(ErrorKind::unsupported, "it has rank {}, more than {}", shape.size(), kMaxRank);
    return Tensor::view(type, std::move(shape), bytes, weights_.owner);
  });
}

/// What a value and its place say is in the value; the rest is kept.
Attributes without_place(const Attributes& attributes) {
  constexpr std::array<std::string_view, 4> kPlace{"element_type", "shape", "offset", "size"};
  Attributes rest;
  for (const auto& [name, value] : attributes.entries())
    if (std::find(kPlace.begin(), kPlace.end(), name) == kPlace.end()) rest.set(name, value);
  return rest;
}

const OpDef& require_op(const IrLayer& layer, std::string_view where) {
  bool has_body = layer.type == "TensorIterator" || layer.type == "Loop" || layer.type == "If";
  if (has_body) fail_at(ErrorKind::unsupported, where, layer, "Nibble does not read operations with a body");
  if (layer.version.empty()) fail_at(ErrorKind::corrupt, where, layer, "has no version (operation set)");
  const OpDef* op = find_op(layer.type);
  if (!op) fail_at(ErrorKind::unsupported, where, layer, fmt::format("Nibble does not know this operation of {}", layer.version));
  return *op;
}

Node& Reader::add_node(const IrLayer& layer) {
  const OpDef& op = require_op(layer, where_);
  Attributes attributes = read_attributes(layer);
  Tensor value;
  if (op.type == "Constant") {
    value = read_constant(layer, attributes);
    attributes = without_place(attributes);
  }
  Node& node = *at(layer, [&] {
    return &graph_.add_unlinked(op.type, layer.inputs.size(), std::move(attributes), std::string(layer.name), layer.version);
  });
  if (op.outputs < 0) node.set_output_count(layer.outputs.size());
  if (layer.outputs.size() > node.output_count())
    fail_layer(ErrorKind::corrupt, layer, "lists {} outputs and has {}", layer.outputs.size(), node.output_count());
  if (value) node.set_constant(std::move(value));
  node.rt_info() = read_rt_attributes(layer.xml.child("rt_info"));
  read_names(layer, node);
  return node;
}

void Reader::read_names(const IrLayer& layer, Node& node) const {
  for (size_t i = 0; i < layer.outputs.size(); ++i)
    node.output_info(i).names = split_tensor_names(layer.outputs[i].xml.attribute("names").value());
  if (node.is("Result")) node.output_info().names.merge(split_tensor_names(layer.xml.attribute("output_names").value()));
}

/// Nodes get the order of the file, which is that of the model's inputs and outputs.
void Reader::add_nodes(const std::vector<size_t>& order) {
  std::vector<size_t> in_file = order;
  std::sort(in_file.begin(), in_file.end());
  for (size_t index : in_file) nodes_[index] = &add_node(table_.layers()[index]);
}

void Reader::link(size_t index) {
  const IrLayer& layer = table_.layers()[index];
  for (size_t i = 0; i < layer.sources.size(); ++i) {
    const IrSource& source = layer.sources[i];
    nodes_[index]->set_input(i, nodes_[source.layer]->output(source.output));
  }
}

void Reader::infer(const IrLayer& layer, Node& node) const {
  at(layer, [&] {
    auto listed = static_cast<int64_t>(layer.outputs.size());
    if (node.op().outputs < 0 && node.attributes().get_int("num_splits", listed) != listed)
      fail(ErrorKind::corrupt, "num_splits does not match its {} output ports", listed);
    node.infer();
    if (node.output_count() < layer.outputs.size()) fail(ErrorKind::corrupt, "lists {} outputs and has {}", listed, node.output_count());
    for (size_t i = 0; i < node.output_count(); ++i)
      if (node.output_info(i).shape.rank() > kMaxRank) fail(ErrorKind::unsupported, "output {} has a rank beyond {}", i, kMaxRank);
  });
  use_port_types(layer, node);
}

void Reader::use_port_types(const IrLayer& layer, Node& node) const {
  for (size_t i = 0; i < layer.outputs.size(); ++i) {
    std::string_view text = layer.outputs[i].xml.attribute("precision").value();
    if (text.empty()) continue;
    auto type = parse_element_type(text);
    if (!type) fail_layer(ErrorKind::corrupt, layer, "output port {} has the unknown precision {}", layer.outputs[i].id, text);
    if (node.output_info(i).type == ElementType::dynamic) node.output_info(i).type = *type;
  }
}

Graph Reader::read() {
  std::vector<size_t> order = table_.order();
  add_nodes(order);
  if (graph_.results().empty()) fail(ErrorKind::corrupt, "{}: the model has no Result", where_);
  for (size_t index : order) link(index);
  for (size_t index : order) infer(table_.layers()[index], *nodes_[index]);
  graph_.name() = net_.attribute("name").value();
  try {
    graph_.rt_info() = read_rt_info(net_.child("rt_info"));
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", where_, error.what());
  }
  return std::move(graph_);
}

/// pugixml neither expands entities nor recurses while it parses, so neither entity nor depth bombs cost more than their length.
pugi::xml_node parse(pugi::xml_document& document, std::string& text, std::string_view where) {
  constexpr unsigned kFlags = pugi::parse_escapes | pugi::parse_eol | pugi::parse_wconv_attribute | pugi::parse_doctype;
  auto result = document.load_buffer_inplace(text.data(), text.size(), kFlags, pugi::encoding_utf8);
  if (result.status == pugi::status_out_of_memory) throw std::bad_alloc();
  if (!result) fail(ErrorKind::corrupt, "{}: not well-formed XML at byte {}: {}", where, result.offset, result.description());
  for (pugi::xml_node child : document.children())
    if (child.type() == pugi::node_doctype) fail(ErrorKind::corrupt, "{}: an IR has no DOCTYPE", where);
  return document.document_element();
}

void require_version(pugi::xml_node net, std::string_view where) {
  if (std::string_view(net.name()) != "net")
    fail(ErrorKind::corrupt, "{}: not an OpenVINO IR: the root is <{}>, not <net>", where, net.name());
  std::string_view version = net.attribute("version").value();
  if (version != "10" && version != "11")
    fail(ErrorKind::unsupported, "{}: IR version '{}'; Nibble reads 10 and 11 (OpenVINO 2020 and later)", where, version);
}

Graph read_text(std::string text, const Weights& weights, std::string_view where) {
  try {
    pugi::xml_document document;
    pugi::xml_node net = parse(document, text, where);
    require_version(net, where);
    return Reader(net, weights, where).read();
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::exhausted, "{}: not enough memory to read the model", where);
  }
}

}  // namespace

Graph read_ir(const std::filesystem::path& xml, ReadOptions options) {
  std::string text = read_file(xml, options.max_xml_bytes);
  std::filesystem::path bin = xml;
  bin.replace_extension(".bin");
  std::error_code unreadable;
  if (!options.bin && std::filesystem::exists(bin, unreadable)) options.bin = MappedFile::open(bin);
  Weights weights{options.bin, {}, !options.bin};
  if (options.bin) weights.bytes = options.bin->bytes();
  return read_text(std::move(text), weights, xml.string());
}

Graph read_ir(std::string_view xml_text, std::shared_ptr<const void> owner, std::span<const std::byte> bin, std::string_view where,
              ReadOptions options) {
  if (xml_text.size() > options.max_xml_bytes)
    fail(ErrorKind::corrupt, "{}: {} bytes of XML, more than the {} allowed", where, xml_text.size(), options.max_xml_bytes);
  return read_text(std::string(xml_text), {std::move(owner), bin, false}, where);
}

}  // namespace nibble
