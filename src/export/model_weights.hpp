#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "checkpoint/weight_source.hpp"
#include "compress/decompression.hpp"
#include "export/encoded_constant.hpp"
#include "export/graph_builder.hpp"
#include "export/weight_findings.hpp"
#include "export/weight_map.hpp"

namespace nibble {

/// How float weights are stored before any compression.
enum class FloatFormat {
  stored,  ///< as in the checkpoint, which may hold codes
  f32,
  f16,
};

/// The weight of a layer x W^T. Its columns may come in another order than the checkpoint's layer has them, that of their groups.
struct LinearWeight {
  Value matrix;
  Value order;  ///< 1-D: the columns of x in the order of the matrix; no node: they are in order
};

/// How many weights became what.
using WeightCounts = std::map<std::string, uint64_t>;

/// What a graph took of a checkpoint.
struct TakenWeights {
  WeightCounts counts;  ///< of weights that stayed in codes, by format ("int4_sym"), and under "float" of codes that became floats
  std::shared_ptr<const WeightSource> source;
  std::set<std::string, std::less<>> used;   ///< names of tensors
  std::shared_ptr<WeightFindings> findings;  ///< complete when the weights have been made
};

/// Puts a checkpoint's tensors into a graph as constants: lazily converted views, each with the Convert to f32 that
/// OpenVINO marks as decompression. What the checkpoint holds in codes stays in codes, decompressed by the nodes that NNCF would write,
/// where OpenVINO can represent them and `format` is stored; otherwise it becomes floats. A tensor asked for twice is the same constant.
/// For one thread.
class ModelWeights {
 public:
  /// `map` says where a weight lies; checkpoints of the bare model lack the first part of its names that others have ("model.",
  /// "transformer."), which is made up for. Throws Error{not_found} or Error{corrupt} naming the tensor.
  ModelWeights(GraphBuilder& builder, std::shared_ptr<const WeightSource> source, const WeightMap& map, FloatFormat format);
  ModelWeights(const ModelWeights&) = delete;
  ModelWeights& operator=(const ModelWeights&) = delete;

  /// A matrix for a MatMul or Gather, or several [n, out, in]; `shape` is what the configuration says. `layer` is what PyTorch calls the
  /// operation: "linear" or "embedding".
  Value matrix(const std::string& name, const Shape& shape, std::string_view layer);
  /// The matrix of a MatMul whose input can be brought into the order of its columns.
  LinearWeight linear_weight(const std::string& name, const Shape& shape);
  /// x with its last axis in that order; the same value for the same arguments.
  Value in_order(Value x, Value order);
  /// A small vector (norm, bias), reshaped to [1,..,1,n] of that rank.
  Value vector(const std::string& name, int64_t size, size_t rank);
  /// A small weight as an f32 constant of that shape, with `plus` added.
  Value vector(const std::string& name, const Shape& shape, float plus = 0);
  /// The torch name of the operation that consumes such a matrix: "aten::linear", or "ov_ext::linear" for 16 bits.
  std::string consumer_name(const std::string& name, std::string_view layer) const;

  /// What was taken so far. Throws Error{not_found} with the names of all tensors that were asked for and are not there.
  TakenWeights take() const;

 private:
  WeightRecipe recipe(const std::string& name) const;
  /// Notes the tensors of a weight as used, or as missing: false then.
  bool require(const std::string& name);
  /// Stands for a weight until take() refuses the checkpoint.
  Value missing(const std::string& name, const Shape& shape);
  std::string stored_name(const std::string& name) const;
  ElementType target_type(const std::string& name) const;
  /// The weight in codes; nullptr where it is to become floats.
  std::shared_ptr<const EncodedConstant> codes_of(const std::string& name, const Shape& shape) const;
  Value decompressed(const std::string& name, const Shape& shape, std::string_view layer,
                     const std::shared_ptr<const EncodedConstant>& codes);
  Value floats(const std::string& name, const Shape& shape, std::string_view layer);
  Value as_f32(Value value, const std::string& name, std::string_view layer);
  std::string constant_name(const std::string& name) const;

  GraphBuilder& builder_;
  std::shared_ptr<const WeightSource> source_;
  const WeightMap& map_;
  FloatFormat format_;
  Decompression decompression_;
  size_t unnamed_ = 0;
  std::unordered_map<std::string, Value> matrices_;
  std::unordered_map<std::string, LinearWeight> ordered_matrices_;
  std::unordered_map<std::string, ElementType> types_;  ///< that a matrix is computed in
  std::map<std::tuple<Node*, size_t, Node*>, Value> ordered_values_;
  WeightCounts counts_;
  std::set<std::string, std::less<>> used_, missing_;  ///< tensors of the checkpoint
  std::shared_ptr<WeightFindings> findings_ = std::make_shared<WeightFindings>();
};

}  // namespace nibble
