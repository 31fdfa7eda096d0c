#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/fail.hpp"
#include "base/output_file.hpp"
#include "graph/graph.hpp"
#include "graph/op_set.hpp"
#include "ir/reader.hpp"

namespace nibble {

/// Everything a graph says, as text, for comparisons: the same text means the same model.
class GraphText {
 public:
  static std::string of(const Graph& graph) { return GraphText(graph).text_; }

 private:
  explicit GraphText(const Graph& graph) {
    line("model {}", graph.name());
    for (Node* node : graph.topological_order()) {
      ids_.emplace(node, ids_.size());
      add(*node);
    }
    for (Node* node : graph.parameters()) line("in {}", ids_.at(node));
    for (Node* node : graph.results()) line("out {}", ids_.at(node));
    add(graph.rt_info(), 0);
  }

  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  void add(const Node& node) {
    line("{} {} {} '{}'", ids_.at(&node), node.opset(), node.type(), node.name());
    for (const auto& [name, value] : node.attributes().entries()) line("  {}={}", name, value);
    for (const auto& attribute : node.rt_info())
      for (const auto& [name, value] : attribute) line("  rt {}={}", name, value);
    for (const Value& input : node.inputs()) line("  <- {}.{}", ids_.at(input.node), input.index);
    for (size_t i = 0; i < node.output_count(); ++i) {
      const OutputInfo& info = node.output_info(i);
      line("  -> {} {} {}", to_string(info.type), to_string(info.shape), fmt::join(info.names, "|"));
    }
    if (!node.is("Constant")) return;
    Tensor value = node.constant().tensor();
    std::string_view bytes(reinterpret_cast<const char*>(value.data()), value.byte_size());
    line("  = {} {} {:x}", to_string(value.type()), to_string(value.shape()), std::hash<std::string_view>()(bytes));
  }

  void add(const RtInfo& info, int depth) {
    line("{:{}}{} {} '{}' {}", "", depth, info.name, info.is_leaf, info.value, info.as_info);
    for (const auto& child : info.children) add(child, depth + 1);
  }

  std::string text_;
  std::unordered_map<const Node*, size_t> ids_;
};

inline std::string data_path(std::string_view name) { return std::string(NIBBLE_SOURCE_DIR) + "/tests/data/ir/" + std::string(name); }

/// A directory of its own that goes away with the test.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "nibble-ir-XXXXXX").string();
    if (!::mkdtemp(name.data())) fail(ErrorKind::exhausted, "no scratch directory");
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  size_t file_count() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

/// Reads XML with a .bin of the bytes 0, 1, 2, ... 255.
inline Graph read_text(std::string_view xml) {
  auto bin = std::make_shared<std::vector<std::byte>>();
  for (int i = 0; i < 256; ++i) bin->push_back(static_cast<std::byte>(i));
  std::span<const std::byte> bytes = *bin;
  return read_ir(xml, bin, bytes, "test.xml");
}

/// A whole model around layers and edges.
inline std::string net(std::string_view layers, std::string_view edges, std::string_view rest = {}) {
  return fmt::format(R"(<?xml version="1.0"?><net name="tiny" version="11"><layers>{}</layers><edges>{}</edges>{}</net>)", layers, edges,
                     rest);
}

inline std::string parameter(uint64_t id, std::string_view names = "x") {
  return fmt::format(R"(<layer id="{}" name="x{}" type="Parameter" version="opset1"><data shape="?,2" element_type="f32"/>)"
                     R"(<output><port id="0" precision="FP32" names="{}"><dim>-1</dim><dim>2</dim></port></output></layer>)",
                     id, id, names);
}

inline std::string constant(uint64_t id, std::string_view type, std::string_view shape, std::string_view offset, std::string_view size) {
  return fmt::format(R"(<layer id="{}" name="c{}" type="Const" version="opset1"><data element_type="{}" shape="{}" offset="{}" size="{}"/>)"
                     R"(<output><port id="0"/></output></layer>)",
                     id, id, type, shape, offset, size);
}

inline std::string result(uint64_t id, std::string_view extra = {}) {
  return fmt::format(R"(<layer id="{}" name="r{}" type="Result" version="opset1" {}><input><port id="0"/></input></layer>)", id, id, extra);
}

inline std::string edge(uint64_t from, uint64_t from_port, uint64_t to, uint64_t to_port) {
  return fmt::format(R"(<edge from-layer="{}" from-port="{}" to-layer="{}" to-port="{}"/>)", from, from_port, to, to_port);
}

/// One constant and a Result.
inline std::string constant_model(std::string_view type, std::string_view shape, std::string_view offset, std::string_view size) {
  return net(constant(0, type, shape, offset, size) + result(1), edge(0, 0, 1, 0));
}

}  // namespace nibble
