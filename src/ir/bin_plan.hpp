#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "graph/constant.hpp"
#include "graph/node.hpp"

namespace nibble {

/// Where every constant goes in a .bin. Constants follow each other in the order of their layers; those of 4 KB and more
/// start on a multiple of 64, so that they can be used where they are mapped. A value is stored once: lazy values by
/// source and output, small ones by their bytes whatever their type, large ones by their address.
/// The graph's constants must outlive the plan. Immutable once made.
class BinPlan {
 public:
  struct Stored {
    Tensor view;
    uint64_t offset = 0;
  };
  struct Produced {
    std::shared_ptr<const ConstantSource> source;
    std::vector<std::optional<uint64_t>> offsets;  ///< per output; none for outputs that no constant uses
  };

  explicit BinPlan(std::span<Node* const> layers);

  uint64_t size() const { return size_; }
  uint64_t offset(const Node& constant) const { return offsets_.at(&constant); }
  const std::vector<Stored>& stored() const { return stored_; }
  const std::vector<Produced>& produced() const { return produced_; }

 private:
  uint64_t place(const ConstantValue& value);
  uint64_t place_view(const Tensor& view);
  uint64_t place_output(const ConstantValue& value);
  uint64_t reserve(uint64_t bytes);

  uint64_t size_ = 0;
  std::unordered_map<const Node*, uint64_t> offsets_;
  std::vector<Stored> stored_;
  std::vector<Produced> produced_;
  std::unordered_map<std::string_view, uint64_t> small_;
  std::map<std::pair<const std::byte*, size_t>, uint64_t> large_;
  std::unordered_map<const ConstantSource*, size_t> sources_;  // position in produced_
};

}  // namespace nibble
