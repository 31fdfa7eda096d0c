#pragma once

#include <memory>
#include <string>
#include <unordered_set>

#include "compress/compressed_weight.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// Puts compressed weights in the place of float constants: codes -> Convert -> [Subtract zero point] -> Multiply by the scale ->
/// [Reshape] -> [Convert], with NNCF's names. Works on one graph; not thread-safe.
class Decompression {
 public:
  explicit Decompression(Graph& graph);

  /// Rewires the readers of `constant`, which is left without any. `port` numbers the name of the product. `codebook` is stored for
  /// modes with one. Converts that have nothing left to do are bypassed.
  void replace(Node& constant, size_t port, std::shared_ptr<const WeightTask> task, const Tensor& codebook);

 private:
  Value constant(ConstantValue value, std::string name);
  Value add(std::string_view type, std::vector<Value> inputs, Attributes attributes, std::string name = {});
  Value convert(Value value, ElementType type, std::string name = {});
  Value codes(const std::string& name, const std::shared_ptr<const CompressedWeight>& source, const WeightTask& task);
  Value looked_up(const std::string& name, const std::shared_ptr<const CompressedWeight>& source, const Tensor& codebook);
  Value scale(const std::string& name, size_t port, const std::shared_ptr<const CompressedWeight>& source,
              const std::shared_ptr<const SecondOrderScale>& second_order);
  std::string unused_name(std::string_view prefix);

  Graph& graph_;
  std::unordered_set<std::string> names_;
  size_t next_ = 0;
};

}  // namespace nibble
