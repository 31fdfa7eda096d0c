#include "pipeline/weight_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "pipeline/stored_weights.hpp"
#include "pipeline/weight_kind.hpp"

namespace nibble {

namespace {

/// Kinds in the order of a report; others come after these.
constexpr std::array<std::string_view, 18> kOrder{"embedding",     "embedding and head",
                                                  "attention q",   "attention k",
                                                  "attention v",   "attention kv",
                                                  "attention qkv", "attention o",
                                                  "attention",     "mlp gate",
                                                  "mlp up",        "mlp gate+up",
                                                  "mlp down",      "mlp",
                                                  "router",        "experts",
                                                  "other",         "head"};

size_t place_of(std::string_view kind) { return static_cast<size_t>(std::find(kOrder.begin(), kOrder.end(), kind) - kOrder.begin()); }

bool has_type(const std::vector<const Node*>& constants, ElementType type) {
  return std::any_of(constants.begin(), constants.end(), [&](const Node* node) { return node->constant().type() == type; });
}

/// NNCF's name of a format, where it is one.
std::string format_name(const WeightFormatInfo& format, const std::vector<const Node*>& constants) {
  if (format.has_codebook) return "codebook";
  if (!format.is_compressed) return format.codes;
  bool is_asymmetric = format.has_zero_points;
  if (format.codes == "u8") return is_asymmetric ? "int8_asym" : "u8";
  if (format.codes == "i8") return "int8_sym";
  if (format.codes == "u4") return is_asymmetric ? "int4_asym" : "u4";
  if (format.codes == "i4") return "int4_sym";
  bool has_powers = has_type(constants, ElementType::f8e8m0);
  if (format.codes == "f4e2m1") return has_powers ? "mxfp4" : has_type(constants, ElementType::f8e4m3) ? "nvfp4" : "fp4";
  if (format.codes == "f8e4m3") return has_powers ? "mxfp8_e4m3" : "fp8_e4m3";
  return format.codes;
}

std::string precision_of(const Node& source, const std::vector<const Node*>& constants) {
  WeightFormatInfo format = weight_format_of(source, constants);
  std::string name = format_name(format, constants);
  if (format.is_compressed && format.group_size > 0) name += fmt::format(", group size {}", format.group_size);
  return name;
}

class Rows {
 public:
  explicit Rows(const Graph& graph) {
    for (const Node* node : graph.topological_order())
      for (size_t port = 0; port < weight_ports(*node); ++port) note(*node, node->input(port).node);
    for (const Found& weight : found_) add_weight(weight);
    for (const Node* node : graph.of_type("Constant")) add_other(*node);
  }

  std::vector<WeightRow> finish(uint64_t bin_bytes) {
    std::vector<WeightRow> rows;
    uint64_t sum = 0;
    for (auto& [key, row] : rows_) sum += row.bytes, rows.push_back(std::move(row));
    std::stable_sort(rows.begin(), rows.end(), [](const WeightRow& a, const WeightRow& b) { return place_of(a.kind) < place_of(b.kind); });
    if (others_.count) rows.push_back(others_);
    sum += others_.bytes;
    if (bin_bytes > sum) rows.push_back({"alignment", "", 0, 0, bin_bytes - sum});
    return rows;
  }

 private:
  struct Found {
    const Node* source;
    std::vector<const Node*> constants;
    std::string kind;
  };

  /// A weight by its largest constant: several layers may read it.
  void note(const Node& consumer, const Node* source) {
    std::vector<const Node*> constants = weight_constants(source);
    bool is_weight = std::any_of(constants.begin(), constants.end(),
                                 [](const Node* node) { return node->constant().shape().size() >= 2 && holds_weights(*node); });
    if (!is_weight) return;
    const Node* codes = largest(constants);
    std::string kind = weight_kind(codes->name(), consumer);
    auto [known, is_new] = by_codes_.try_emplace(codes, found_.size());
    if (is_new) return found_.push_back({source, std::move(constants), std::move(kind)});
    std::string& before = found_[known->second].kind;
    if (before == "embedding" && kind == "head") before = "embedding and head";
  }

  /// Bytes of the .bin that nothing has been counted for.
  uint64_t take(const Node& constant) {
    const Tensor& view = constant.constant().view();
    return stored_.insert(view.data()).second ? constant.constant().byte_size() : 0;
  }

  void add_weight(const Found& weight) {
    std::string precision = precision_of(*weight.source, weight.constants);
    WeightRow& row = rows_[{weight.kind, precision}];
    row.kind = weight.kind;
    row.precision = std::move(precision);
    ++row.count;
    row.elements += element_count(largest(weight.constants)->constant().shape());
    for (const Node* node : weight.constants) row.bytes += take(*node);
    counted_.insert(weight.constants.begin(), weight.constants.end());
  }

  void add_other(const Node& constant) {
    uint64_t bytes = take(constant);
    if (counted_.count(&constant)) return;
    ++others_.count;
    others_.elements += element_count(constant.constant().shape());
    others_.bytes += bytes;
  }

  std::vector<Found> found_;
  std::unordered_map<const Node*, size_t> by_codes_;
  std::map<std::pair<std::string, std::string>, WeightRow> rows_;
  WeightRow others_{"norms and others", "as stored", 0, 0, 0};
  std::unordered_set<const void*> stored_;
  std::unordered_set<const Node*> counted_;
};

}  // namespace

std::vector<WeightRow> weight_rows(const Graph& graph, uint64_t bin_bytes) { return Rows(graph).finish(bin_bytes); }

}  // namespace nibble
