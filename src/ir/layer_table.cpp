#include "ir/layer_table.hpp"

#include <algorithm>
#include <charconv>

#include "base/fail.hpp"

namespace nibble {

namespace {

constexpr size_t kNoLayer = SIZE_MAX;

bool is_dim(std::string_view text) {
  uint64_t value = 0;
  return text == "-1" || (parse_unsigned(text, value) && value <= INT64_MAX);
}

}  // namespace

bool parse_unsigned(std::string_view text, uint64_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

void fail_at(ErrorKind kind, std::string_view where, const IrLayer& layer, std::string_view message) {
  fail(kind, "{}: layer {} '{}' ({}): {}", where, layer.id, layer.name, layer.type, message);
}

LayerTable::LayerTable(pugi::xml_node net, std::string_view where) : where_(where) {
  read_layers(net.child("layers"));
  index_layers();
  index_ports();
  read_edges(net.child("edges"));
  require_sources();
}

void LayerTable::read_layers(pugi::xml_node xml) {
  if (!xml) fail(ErrorKind::corrupt, "{}: <net> has no <layers>", where_);
  for (pugi::xml_node element : xml.children("layer")) {
    IrLayer& layer = layers_.emplace_back();
    layer.xml = element;
    layer.name = element.attribute("name").value();
    layer.type = element.attribute("type").value();
    layer.version = element.attribute("version").value();
    std::string_view id = element.attribute("id").value();
    if (!parse_unsigned(id, layer.id))
      fail(ErrorKind::corrupt, "{}: layer '{}' has the id '{}', which is no number", where_, layer.name, id);
    if (layer.type.empty()) fail_at(ErrorKind::corrupt, where_, layer, "has no type");
    layer.inputs = read_ports(layer, "input");
    layer.outputs = read_ports(layer, "output");
    layer.sources.resize(layer.inputs.size(), {kNoLayer, 0});
  }
}

std::vector<IrPort> LayerTable::read_ports(const IrLayer& layer, const char* side) const {
  std::vector<IrPort> ports;
  for (pugi::xml_node element : layer.xml.child(side).children("port")) {
    std::string_view id = element.attribute("id").value();
    IrPort& port = ports.emplace_back(IrPort{0, element});
    if (!parse_unsigned(id, port.id)) fail_at(ErrorKind::corrupt, where_, layer, fmt::format("{} port id '{}' is no number", side, id));
    for (pugi::xml_node dim : element.children("dim"))
      if (!is_dim(dim.child_value()))
        fail_at(ErrorKind::corrupt, where_, layer, fmt::format("{} port {} has the dimension '{}'", side, port.id, dim.child_value()));
  }
  return ports;
}

void LayerTable::index_layers() {
  for (size_t i = 0; i < layers_.size(); ++i) by_id_.emplace_back(layers_[i].id, i);
  std::sort(by_id_.begin(), by_id_.end());
  auto same = std::adjacent_find(by_id_.begin(), by_id_.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  if (same == by_id_.end()) return;
  fail_at(ErrorKind::corrupt, where_, layers_[(same + 1)->second], fmt::format("layer '{}' has the same id", layers_[same->second].name));
}

void LayerTable::index_ports() {
  for (size_t i = 0; i < layers_.size(); ++i) {
    for (size_t k = 0; k < layers_[i].inputs.size(); ++k) ports_.push_back({i, false, layers_[i].inputs[k].id, k});
    for (size_t k = 0; k < layers_[i].outputs.size(); ++k) ports_.push_back({i, true, layers_[i].outputs[k].id, k});
  }
  std::sort(ports_.begin(), ports_.end(), [](const PortKey& a, const PortKey& b) { return a.key() < b.key(); });
  auto same = std::adjacent_find(ports_.begin(), ports_.end(), [](const PortKey& a, const PortKey& b) { return a.key() == b.key(); });
  if (same != ports_.end())
    fail_at(ErrorKind::corrupt, where_, layers_[same->layer], fmt::format("has two ports with the id {}", same->id));
}

uint64_t LayerTable::edge_number(pugi::xml_node edge, const char* attribute) const {
  uint64_t number = 0;
  std::string_view text = edge.attribute(attribute).value();
  if (!parse_unsigned(text, number)) fail(ErrorKind::corrupt, "{}: an edge has {}=\"{}\", which is no number", where_, attribute, text);
  return number;
}

size_t LayerTable::find_layer(uint64_t id) const {
  auto found = std::lower_bound(by_id_.begin(), by_id_.end(), std::pair(id, size_t{0}));
  if (found == by_id_.end() || found->first != id) fail(ErrorKind::corrupt, "{}: an edge names layer {}, which does not exist", where_, id);
  return found->second;
}

size_t LayerTable::find_port(size_t layer, bool is_output, uint64_t id) const {
  PortKey wanted{layer, is_output, id, 0};
  auto found = std::lower_bound(ports_.begin(), ports_.end(), wanted, [](const PortKey& a, const PortKey& b) { return a.key() < b.key(); });
  if (found == ports_.end() || found->key() != wanted.key())
    fail_at(ErrorKind::corrupt, where_, layers_[layer],
            fmt::format("an edge names its {} port {}, which does not exist", is_output ? "output" : "input", id));
  return found->position;
}

void LayerTable::read_edges(pugi::xml_node xml) {
  for (pugi::xml_node edge : xml.children("edge")) {
    size_t from = find_layer(edge_number(edge, "from-layer")), to = find_layer(edge_number(edge, "to-layer"));
    size_t output = find_port(from, true, edge_number(edge, "from-port"));
    size_t input = find_port(to, false, edge_number(edge, "to-port"));
    IrSource& source = layers_[to].sources[input];
    if (source.layer != kNoLayer)
      fail_at(ErrorKind::corrupt, where_, layers_[to], fmt::format("two edges lead to input port {}", layers_[to].inputs[input].id));
    source = {from, output};
  }
}

void LayerTable::require_sources() const {
  for (const IrLayer& layer : layers_)
    for (size_t i = 0; i < layer.sources.size(); ++i)
      if (layer.sources[i].layer == kNoLayer)
        fail_at(ErrorKind::corrupt, where_, layer, fmt::format("no edge leads to input port {}", layer.inputs[i].id));
}

std::vector<size_t> LayerTable::order() const {
  enum class State : uint8_t { unseen, open, done };
  std::vector<State> state(layers_.size(), State::unseen);
  std::vector<size_t> order;
  std::vector<std::pair<size_t, size_t>> stack;  // layer, next input; not recursive, because chains may be of any length
  auto open = [&](size_t layer) {
    if (state[layer] == State::open) fail_at(ErrorKind::corrupt, where_, layers_[layer], "depends on itself");
    if (state[layer] == State::done) return;
    state[layer] = State::open;
    stack.emplace_back(layer, 0);
  };
  auto visit = [&](size_t root) {
    open(root);
    while (!stack.empty()) {
      auto& [layer, next] = stack.back();
      if (next < layers_[layer].sources.size()) {
        open(layers_[layer].sources[next++].layer);
      } else {
        state[layer] = State::done;
        order.push_back(layer);
        stack.pop_back();
      }
    }
  };
  for (std::string_view type : {"Parameter", "Result", "Assign"})
    for (size_t i = 0; i < layers_.size(); ++i)
      if (layers_[i].type == type) visit(i);
  return order;
}

}  // namespace nibble
