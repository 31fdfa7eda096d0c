#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/weight_source.hpp"
#include "graph/graph.hpp"

namespace nibble::test {

inline std::string data_path(const std::string& name) { return std::string(NIBBLE_SOURCE_DIR) + "/tests/data/compress/" + name; }

inline nlohmann::json read_json(const std::string& name) {
  std::ifstream file(data_path(name));
  return nlohmann::json::parse(file);
}

inline const WeightSource& fixture_weights() {
  static const std::unique_ptr<WeightSource> source = open_safetensors(data_path("weights.safetensors"));
  return *source;
}

/// 64-bit FNV-1a: the expected constants are kept as digests.
inline std::string fnv1a(std::span<const std::byte> bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (std::byte byte : bytes) hash = (hash ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

/// Produces every output of a source in slices of `rows` rows (a multiple of 8).
inline std::vector<std::vector<std::byte>> produce_in_slices(const ConstantSource& source, int64_t rows) {
  std::vector<std::vector<std::byte>> outputs;
  for (size_t i = 0; i < source.output_count(); ++i)
    outputs.emplace_back(packed_bytes(source.type(i), element_count(source.shape(i))), std::byte{0xa5});
  std::vector<size_t> offsets(outputs.size(), 0);
  for (int64_t begin = 0; begin < source.rows(); begin += rows) {
    int64_t end = std::min(begin + rows, source.rows());
    std::vector<std::span<std::byte>> spans;
    for (size_t i = 0; i < outputs.size(); ++i) {
      size_t bytes = row_slice_bytes(source, i, begin, end);
      spans.push_back(std::span(outputs[i]).subspan(offsets[i], bytes));
      offsets[i] += bytes;
    }
    source.produce(begin, end, spans);
  }
  return outputs;
}

inline Node& only(const std::vector<Node*>& nodes) { return *nodes.at(0); }

}  // namespace nibble::test
