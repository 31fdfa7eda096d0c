#pragma once

#include <map>
#include <string>

#include "base/fail.hpp"
#include "checkpoint/weight_source.hpp"

namespace nibble::samples {

/// Tensors in memory as a checkpoint.
class MemoryWeights final : public WeightSource {
 public:
  std::map<std::string, Tensor> tensors;

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    return names;
  }
  bool contains(std::string_view name) const override { return tensors.contains(std::string(name)); }
  WeightInfo info(std::string_view name) const override { return {get(name).type(), get(name).shape(), "memory"}; }
  Tensor get(std::string_view name) const override {
    auto found = tensors.find(std::string(name));
    if (found == tensors.end()) fail(ErrorKind::not_found, "there is no tensor {}", name);
    return found->second;
  }
  void release(std::string_view, PageCache) const override {}
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }

 private:
  std::map<std::string, std::string> metadata_;
};

}  // namespace nibble::samples
