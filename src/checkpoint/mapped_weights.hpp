#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble {

/// Where one tensor lies in a mapped file.
struct MappedWeight {
  ElementType type = ElementType::dynamic;
  Shape shape;
  std::span<const std::byte> bytes;  ///< from the first element to the last
  std::vector<int64_t> strides;      ///< in elements; empty where the elements lie densely in row-major order
};

using MappedWeightMap = std::map<std::string, MappedWeight, std::less<>>;

/// The weights of one mapped file. Thread-safe, immutable.
class MappedWeights final : public WeightSource {
 public:
  /// Every weight lies in `file` and has been checked.
  MappedWeights(std::shared_ptr<const MappedFile> file, MappedWeightMap weights, std::map<std::string, std::string> metadata);

  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override { return weights_.contains(name); }
  WeightInfo info(std::string_view name) const override;
  Tensor get(std::string_view name) const override;
  void release(std::string_view name, PageCache cache) const override;
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }

 private:
  const MappedWeight& find(std::string_view name) const;

  std::shared_ptr<const MappedFile> file_;
  MappedWeightMap weights_;
  std::map<std::string, std::string> metadata_;
};

/// Maps a file of weights. Throws Error{not_found}, and Error{corrupt} for a Git LFS pointer that stands in for the file.
std::shared_ptr<const MappedFile> map_weights(const std::filesystem::path& path);

}  // namespace nibble
