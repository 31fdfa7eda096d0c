#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "compress/compressed_weight.hpp"
#include "graph/graph.hpp"

namespace nibble {

/// The constants of a weight in codes. Shapes: codes [.., groups, group size], the others [.., groups, 1]; or [.., columns] and [.., 1].
struct WeightCodes {
  ConstantValue codes, scales;
  ConstantValue zero_points;        ///< of type dynamic: there are none
  Shape shape;                      ///< of the weight
  ConstantValue second_order = {};  ///< f32 scale of the scales, or of type dynamic
  Tensor codebook = {};             ///< that codes are indices into
};

/// Puts compressed weights in the place of float constants: codes -> Convert -> [Subtract zero point] -> Multiply by the scale ->
/// [Reshape] -> [Convert], with NNCF's names. Works on one graph; not thread-safe.
class Decompression {
 public:
  explicit Decompression(Graph& graph);
  /// `make_name` names nodes that have no name of their own, by type and unlike any other in the graph.
  Decompression(Graph& graph, std::function<std::string(std::string_view)> make_name) : graph_(graph), make_name_(std::move(make_name)) {}

  /// The nodes of a weight that is in codes already; computed in f32 where the scales are f32, else in f16.
  Value decompress(const std::string& name, size_t port, const WeightCodes& weight);

  /// Rewires the readers of `constant`, which is left without any. `port` numbers the name of the product. Converts that have nothing left
  /// to do are bypassed.
  void replace(Node& constant, size_t port, const std::shared_ptr<const WeightTask>& task);

  /// A small matrix that is stored as `task` says, or as it is where that is nullptr.
  struct Adapter {
    Tensor weight;
    std::shared_ptr<const WeightTask> task;
  };
  /// Adds the product of two adapters with the layer's input `port` to its output: MatMul(MatMul(x, A), B).
  void add_adapters(Node& layer, size_t port, const Adapter& a, const Adapter& b);

 private:
  Value constant(ConstantValue value, std::string name);
  Value add(std::string_view type, std::vector<Value> inputs, Attributes attributes, std::string name = {});
  Value convert(Value value, ElementType type, std::string name = {});
  Value codes(const std::string& name, const WeightCodes& weight, ElementType type);
  Value looked_up(const std::string& name, const WeightCodes& weight);
  Value scale(const std::string& name, size_t port, const WeightCodes& weight, ElementType type);
  Value adapter(const Adapter& adapter, const std::string& name, ElementType type);
  std::string unused_name(std::string_view prefix);

  Graph& graph_;
  std::function<std::string(std::string_view)> make_name_;
  std::unordered_set<std::string> names_;
  size_t next_ = 0;
};

}  // namespace nibble
