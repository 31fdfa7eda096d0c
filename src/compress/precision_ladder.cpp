#include "compress/precision_ladder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "compress/decompression.hpp"
#include "compress/ignored_scope.hpp"
#include "compress/precision_assignment.hpp"

namespace nibble {

namespace {

constexpr int64_t kSmallestGroup = 32;

bool is_f8(ElementType type) { return type == ElementType::f8e4m3 || type == ElementType::f8e5m2; }

/// From the given one to ever finer ones.
std::vector<int64_t> group_sizes(const WeightCompression& lowest) {
  const WeightFormat& format = weight_format(lowest.mode);
  int64_t first = lowest.group_size.value_or(format.default_group_size);
  if (format.group_size_is_fixed || is_int8(lowest.mode)) return {first};
  std::vector<int64_t> sizes{first};
  for (int64_t size = first == -1 ? 128 : first / 2; size >= kSmallestGroup; size /= 2) sizes.push_back(size);
  return sizes;
}

int64_t width(const LadderWeight& weight) { return weight.constant->constant().shape()[weight.reduction_axes.at(0)]; }

/// The group sizes that divide the weight's rows; else the largest power of two that does, unless it is very small.
std::vector<int64_t> fitting_sizes(const LadderWeight& weight, const WeightCompression& lowest) {
  std::vector<int64_t> sizes = group_sizes(lowest), fitting;
  for (int64_t size : sizes)
    if (size == -1 || (size > 0 && width(weight) % size == 0)) fitting.push_back(size);
  int64_t power = width(weight) & -width(weight);
  bool may_adjust = !weight_format(lowest.mode).group_size_is_fixed && power >= kSmallestGroup;
  if (fitting.empty() && may_adjust) fitting.push_back(power);
  return fitting;
}

/// Modes below 8 bits take single matrices and stacks of them, and tables of embeddings.
bool takes_few_bits(const LadderWeight& weight) {
  return weight.reduction_axes.size() == 1 && std::all_of(weight.readers.begin(), weight.readers.end(), [](const WeightedLayer& reader) {
           return reader.kind != LayerKind::convolution;
         });
}

void add_rungs(LadderWeight& weight, const LadderOptions& options, const ModeLevels& levels) {
  uint64_t as_it_is = weight.constant->constant().byte_size();
  auto add = [&](const WeightConfig& config) {
    auto task = make_weight_task(*weight.constant, weight.reduction_axes, config, levels);
    LadderRung rung{config, aligned_bytes(*task)};
    if (rung.bytes < as_it_is) weight.rungs.push_back(rung);
  };
  if (takes_few_bits(weight) && !is_int8(options.lowest.mode))
    for (int64_t size : fitting_sizes(weight, options.lowest)) add({options.lowest.mode, size});
  add({options.int8, -1});
  if (options.floats || weight.rungs.empty()) weight.rungs.push_back({std::nullopt, as_it_is});
  std::stable_sort(weight.rungs.begin(), weight.rungs.end(), [](const LadderRung& a, const LadderRung& b) { return a.bytes < b.bytes; });
}

}  // namespace

std::vector<LadderWeight> precision_ladder(const Graph& graph, const LadderOptions& options) {
  LayerOrder order = layer_order(graph);
  auto layers = weighted_layers(order);
  WeightCompression all{.mode = CompressWeightsMode::int8_asym};
  auto assignment = assign_precisions(layers, ignored_nodes(options.lowest.ignored_scope, order.nodes), plan_compression(all), 0);
  ModeLevels levels = levels_of(options.lowest);
  std::vector<LadderWeight> ladder;
  for (const AssignedWeight& assigned : assignment.weights) {
    if (!assigned.config || is_f8(assigned.layer.constant->constant().type())) continue;
    LadderWeight weight{assigned.layer.constant, {}, assigned.layer.reduction_axes, assigned.elements, {}};
    for (const WeightedLayer& layer : layers)
      if (layer.constant == weight.constant) weight.readers.push_back(layer);
    add_rungs(weight, options, levels);
    ladder.push_back(std::move(weight));
  }
  return ladder;
}

LayerCopy copy_compressed(const LadderWeight& weight, const WeightedLayer& reader, const WeightConfig& config, const ModeLevels& levels) {
  LayerCopy copy = copy_layer(*reader.layer, reader.port);
  auto task = make_weight_task(*weight.constant, weight.reduction_axes, config, levels);
  for (Node* constant : copy.graph.of_type("Constant"))
    if (constant->name() == weight.constant->name()) {
      Decompression(copy.graph).replace(*constant, reader.port, task);
      break;
    }
  copy.graph.remove_unused();
  return copy;
}

std::string precision_name(const LadderRung& rung, ElementType stored) {
  if (!rung.config) return std::string(to_string(stored));
  std::string text(to_string(rung.config->mode));
  if (rung.config->group_size > 0) text += fmt::format(", group size {}", rung.config->group_size);
  return text;
}

}  // namespace nibble
