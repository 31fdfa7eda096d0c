#pragma once

#include <cstdint>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "nibble/error.hpp"

namespace nibble {

/// A port of a layer: its number, and the element for what else it says.
struct IrPort {
  uint64_t id = 0;
  pugi::xml_node xml;
};

/// Which output (by position, not by port number) of which layer (by position, not by id) feeds an input.
struct IrSource {
  size_t layer = 0;
  size_t output = 0;
};

/// A <layer> as written. Texts belong to the XML document.
struct IrLayer {
  uint64_t id = 0;
  std::string_view name, type, version;
  pugi::xml_node xml;
  std::vector<IrPort> inputs, outputs;
  std::vector<IrSource> sources;  ///< one per input
};

/// Throws Error: "<where>: layer 12 'foo' (MatMul): <message>".
[[noreturn]] void fail_at(ErrorKind kind, std::string_view where, const IrLayer& layer, std::string_view message);

/// The layers and edges of an IR, checked for form: ids are unique, every edge joins existing ports, every input has
/// exactly one edge. Takes O(n log n) whatever the ids are: sorted tables, because crafted ids can make a hash table slow.
class LayerTable {
 public:
  /// `net` must outlive the table. Throws Error{corrupt}, naming `where` and the layer.
  LayerTable(pugi::xml_node net, std::string_view where);

  const std::vector<IrLayer>& layers() const { return layers_; }
  /// Layers that a Parameter, Result or Assign needs, each after those that feed it. Throws Error{corrupt} on a cycle.
  std::vector<size_t> order() const;

 private:
  struct PortKey {
    size_t layer = 0;
    bool is_output = false;
    uint64_t id = 0;
    size_t position = 0;
    auto key() const { return std::tuple(layer, is_output, id); }
  };

  void read_layers(pugi::xml_node xml);
  std::vector<IrPort> read_ports(const IrLayer& layer, const char* side) const;
  void index_layers();
  void index_ports();
  void read_edges(pugi::xml_node xml);
  uint64_t edge_number(pugi::xml_node edge, const char* attribute) const;
  size_t find_layer(uint64_t id) const;
  size_t find_port(size_t layer, bool is_output, uint64_t id) const;
  void require_sources() const;

  std::string where_;
  std::vector<IrLayer> layers_;
  std::vector<std::pair<uint64_t, size_t>> by_id_;
  std::vector<PortKey> ports_;
};

/// An unsigned decimal number and nothing else; false otherwise.
bool parse_unsigned(std::string_view text, uint64_t& value);

}  // namespace nibble
