#include "compress/precision_assignment.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <unordered_map>

#include "base/fail.hpp"

namespace nibble {

namespace {

using Weights = std::vector<AssignedWeight>;
using Indices = std::vector<size_t>;

bool is_f8(ElementType type) { return type == ElementType::f8e4m3 || type == ElementType::f8e5m2; }

/// Whether a mode makes a weight of this type smaller in NNCF's eyes.
bool is_supported(ElementType type, CompressWeightsMode mode, size_t codebook_size) {
  switch (type) {
    case ElementType::f16:
    case ElementType::bf16:
    case ElementType::f32:
    case ElementType::f64:
    case ElementType::f8e4m3:
    case ElementType::f8e5m2: break;
    default: return false;
  }
  if (is_int8(mode)) return !is_f8(type);
  if (mode == CompressWeightsMode::codebook) return std::bit_width(codebook_size) - 1 < bit_width(type);
  return true;
}

std::optional<WeightConfig> backup_config(const CompressionPlan& plan, ElementType type) {
  auto int8 = [&](CompressWeightsMode mode) { return is_f8(type) ? std::nullopt : std::optional(WeightConfig{mode, -1}); };
  switch (plan.backup) {
    case BackupMode::none: return std::nullopt;
    case BackupMode::int8_sym: return int8(CompressWeightsMode::int8_sym);
    case BackupMode::int8_asym: return int8(CompressWeightsMode::int8_asym);
    case BackupMode::mxfp8_e4m3: return WeightConfig{CompressWeightsMode::mxfp8_e4m3, 32};
    case BackupMode::fp8_e4m3: return WeightConfig{CompressWeightsMode::fp8_e4m3, plan.group_size};
  }
  return std::nullopt;
}

/// The candidates: every constant once, plus those that stay float.
class Candidates {
 public:
  Candidates(const std::vector<WeightedLayer>& layers, const std::unordered_set<const Node*>& ignored, const CompressionPlan& plan,
             size_t codebook_size);

  Weights weights;
  Indices compressible;             // into weights, in the order of layers
  bool last_layer_skipped = false;  // the last layer was shared, ignored or of a type that cannot be compressed

 private:
  void add(const WeightedLayer& layer, bool is_last, bool skip, const CompressionPlan& plan);

  std::unordered_map<const Node*, size_t> index_;
  std::unordered_set<const Node*> taken_;
};

Candidates::Candidates(const std::vector<WeightedLayer>& layers, const std::unordered_set<const Node*>& ignored,
                       const CompressionPlan& plan, size_t codebook_size) {
  for (const WeightedLayer& layer : layers) {
    const ConstantValue& value = layer.constant->constant();
    bool skip = ignored.count(layer.layer) || ignored.count(layer.constant) || computes_positions(*layer.layer) ||
                !is_supported(value.type(), plan.mode, codebook_size) || element_count(value.shape()) == 0;
    add(layer, layer.layer == layers.back().layer, skip, plan);
  }
}

void Candidates::add(const WeightedLayer& layer, bool is_last, bool skip, const CompressionPlan& plan) {
  if (skip || taken_.count(layer.constant)) last_layer_skipped = is_last;
  if (taken_.count(layer.constant)) return;
  auto [found, fresh] = index_.emplace(layer.constant, weights.size());
  if (fresh) weights.push_back({layer, std::nullopt, false, element_count(layer.constant->constant().shape())});
  if (skip) return;
  taken_.insert(layer.constant);
  // A constant that its first layer keeps float may be compressed for the next one.
  weights[found->second].layer = layer;
  weights[found->second].config = backup_config(plan, layer.constant->constant().type());
  compressible.push_back(found->second);
}

Indices ratio_defining(const Candidates& candidates, const CompressionPlan& plan) {
  if (is_int8(plan.mode)) return candidates.compressible;
  Indices chosen, embeddings;
  for (size_t i : candidates.compressible) {
    const WeightedLayer& layer = candidates.weights[i].layer;
    if (layer.kind == LayerKind::matmul) chosen.push_back(i);
    if (layer.kind == LayerKind::embedding && layer.reduction_axes.size() == 1) embeddings.push_back(i);
  }
  if (plan.all_layers)
    chosen.insert(chosen.end(), embeddings.begin(), embeddings.end());
  else if (!candidates.last_layer_skipped && !chosen.empty())
    chosen.pop_back();
  return chosen;
}

int64_t width(const AssignedWeight& weight) { return weight.layer.constant->constant().shape()[weight.layer.reduction_axes.at(0)]; }

/// Gives the ratio-defining weights the main precision; those whose width does not fit leave the list.
Indices apply_group_size(Weights& weights, const Indices& chosen, const CompressionPlan& plan) {
  Indices kept;
  for (size_t i : chosen) {
    AssignedWeight& weight = weights[i];
    int64_t size = plan.group_size;
    bool fits = size == -1 || plan.group_size_fallback == GroupSizeFallbackMode::error || width(weight) % size == 0;
    if (!fits && plan.group_size_fallback == GroupSizeFallbackMode::ignore) {
      weight.config.reset();
      continue;
    }
    if (!fits) size = width(weight) & -width(weight);  // the largest power of two that divides
    if (!fits && size < plan.min_adjusted_group_size) continue;
    weight.config = WeightConfig{plan.mode, size};
    kept.push_back(i);
  }
  return kept;
}

}  // namespace

PrecisionAssignment assign_precisions(const std::vector<WeightedLayer>& layers, const std::unordered_set<const Node*>& ignored,
                                      const CompressionPlan& plan, size_t codebook_size) {
  Candidates candidates(layers, ignored, plan, codebook_size);
  PrecisionAssignment assignment;
  assignment.chosen = apply_group_size(candidates.weights, ratio_defining(candidates, plan), plan);
  assignment.weights = std::move(candidates.weights);
  for (size_t i : assignment.chosen) assignment.weights[i].ratio_defining = true;
  return assignment;
}

void apply_ratio(PrecisionAssignment& assignment, std::span<const double> scores, const CompressionPlan& plan) {
  const Indices& chosen = assignment.chosen;
  Indices ranked(chosen.size());
  std::iota(ranked.begin(), ranked.end(), size_t{0});
  std::stable_sort(ranked.begin(), ranked.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  size_t total = 0, taken = 0;
  for (size_t i : chosen) total += assignment.weights[i].elements;
  bool full = false;
  for (size_t rank : ranked) {
    AssignedWeight& weight = assignment.weights[chosen[rank]];
    full = full || static_cast<double>(taken + weight.elements) / static_cast<double>(total) >= plan.ratio;
    if (full)
      weight.config = backup_config(plan, weight.layer.constant->constant().type());
    else
      taken += weight.elements;
  }
}

void apply_assigned(PrecisionAssignment& assignment, const AssignedPrecisions& assigned) {
  size_t found = 0;
  assignment.chosen.clear();
  for (size_t i = 0; i < assignment.weights.size(); ++i) {
    AssignedWeight& weight = assignment.weights[i];
    auto entry = assigned.find(weight.layer.constant->name());
    weight.config = entry == assigned.end() ? std::nullopt : std::optional(entry->second);
    weight.ratio_defining = weight.config && !is_int8(weight.config->mode);
    if (weight.ratio_defining) assignment.chosen.push_back(i);
    found += weight.config.has_value();
  }
  if (found != assigned.size())
    fail(ErrorKind::invalid_argument, "precisions are assigned to {} weights, of which the model has {}", assigned.size(), found);
}

void check_group_sizes(const PrecisionAssignment& assignment, int64_t group_size) {
  std::string failed;
  for (size_t i : assignment.chosen) {
    const AssignedWeight& weight = assignment.weights[i];
    if (!weight.config || weight.config->group_size == -1 || width(weight) % weight.config->group_size == 0) continue;
    failed += fmt::format("\n  '{}' ({} channels)", weight.layer.layer->name(), width(weight));
  }
  if (!failed.empty())
    fail(ErrorKind::invalid_argument,
         "group size {} does not divide the width of these layers; choose another one, or the group size fallback ignore or adjust:{}",
         group_size, failed);
}

}  // namespace nibble
