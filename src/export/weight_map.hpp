#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace nibble {

/// Rows begin, begin + step, ... of a tensor.
struct RowRun {
  int64_t begin = 0, count = 0, step = 1;
};

/// Some rows of a tensor of a checkpoint, in this order.
struct WeightPart {
  std::string tensor;
  std::vector<RowRun> rows = {};  ///< empty: all
  bool transposed = false;        ///< stored as [in, out] (Conv1D): its columns are the rows
};

/// Where a weight lies in a checkpoint: parts that are stacked along rows. A tensor of more than two dimensions counts as a matrix of
/// its last one; where it is transposed, as a row of matrices that each are.
struct WeightRecipe {
  std::vector<WeightPart> parts;
  bool has_unit_rows = false;  ///< every row is divided by its length
};

/// From the names that the shared decoder gives its weights ("model.layers.3.self_attn.q_proj.weight") to what a checkpoint of
/// a family holds. Names that are not in the map are the checkpoint's own.
class WeightMap {
 public:
  void set(std::string name, WeightRecipe recipe) { recipes_.insert_or_assign(std::move(name), std::move(recipe)); }
  /// The same, made when it is asked for: for recipes of many parts.
  void set_maker(std::string name, std::function<WeightRecipe()> make) { makers_.insert_or_assign(std::move(name), std::move(make)); }
  /// Where the checkpoint has no tensor `name` itself.
  void set_fallback(const std::string& name, WeightRecipe recipe) {
    fallbacks_.insert(name);
    set(name, std::move(recipe));
  }
  bool is_fallback(const std::string& name) const { return fallbacks_.contains(name); }
  /// Of the layer `name`: `name`.weight is `part` of the layer part.tensor, .bias the same rows of its bias.
  void set_layer(const std::string& name, const WeightPart& part);
  /// What begins with `prefix` begins with `replacement` in the checkpoint. The first that fits counts.
  void rename(std::string prefix, std::string replacement) { prefixes_.emplace_back(std::move(prefix), std::move(replacement)); }
  WeightRecipe find(const std::string& name) const;

 private:
  std::unordered_map<std::string, WeightRecipe> recipes_;
  std::unordered_map<std::string, std::function<WeightRecipe()>> makers_;
  std::unordered_set<std::string> fallbacks_;
  std::vector<std::pair<std::string, std::string>> prefixes_;
};

/// Rows of heads whose rotated dimensions lie in pairs (2i, 2i + 1), in the order of halves (i, i + rotated / 2) that the decoder
/// rotates: an order that queries and keys share leaves their products as they are.
std::vector<RowRun> halved_pairs(const std::vector<RowRun>& heads, int64_t rotated);

}  // namespace nibble
