#include "calibrate/calibration_plan.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.hpp"
#include "calibrate/value_hash.hpp"

namespace nibble {

namespace {

class Planner {
 public:
  Planner(std::span<Node* const> order, const SampleDependence& dependence, std::span<Node* const> layers, Value result)
      : order_(order), dependence_(dependence), result_(result), visited_(layers.begin(), layers.end()) {
    check(layers);
  }

  CalibrationPlan make() {
    find_needed();
    plan_.units.emplace_back();
    for (Node* node : order_) place(*node);
    for (CalibrationUnit& unit : plan_.units) add_expansions(unit);
    for (size_t i = 0; i < plan_.units.size(); ++i) note_reads(i);
    if (result_) note_read(plan_.units.size(), result_);
    for (CalibrationUnit& unit : plan_.units) note_kept(unit);
    if (result_) last_read_.erase(result_);
    note_expired();
    return std::move(plan_);
  }

 private:
  void check(std::span<Node* const> layers) const {
    if (visited_.size() != layers.size()) fail(ErrorKind::invalid_argument, "a layer to calibrate is named twice");
    std::unordered_set<const Node*> known(order_.begin(), order_.end());
    for (const Node* layer : layers) {
      if (!known.count(layer)) fail(ErrorKind::invalid_argument, "a layer to calibrate is not reached from the model's results");
      if (!find_weight(*layer, dependence_))
        fail(ErrorKind::invalid_argument, "{}: only a product of a weight and an activation can be calibrated", describe(*layer));
    }
  }

  Dependence of(Value value) const { return dependence_.of(*value.node); }

  void find_needed() {
    if (result_) needed_.insert(result_.node);
    for (auto node = order_.rbegin(); node != order_.rend(); ++node) {
      if (visited_.count(*node)) needed_.insert((*node)->input(1 - *find_weight(**node, dependence_)).node);
      if (!needed_.count(*node)) continue;
      for (Value input : (*node)->inputs())
        if (of(input) != Dependence::constant) needed_.insert(input.node);
    }
  }

  void place(Node& node) {
    bool is_needed = needed_.count(&node) > 0, is_visited = visited_.count(&node) > 0;
    Dependence kind = dependence_.of(node);
    if (kind == Dependence::constant || !(is_needed || is_visited)) return;
    if (node.is("Parameter")) return plan_.parameters.push_back(&node);
    bool reads_sample = kind == Dependence::sample;
    bool is_product = is_visited || (reads_sample && node.is("MatMul") && find_weight(node, dependence_));
    if (is_product) begin_unit(node, is_visited, is_needed && reads_sample);
    if (!is_needed || (is_product && reads_sample)) return;
    (reads_sample ? plan_.units.back().after : plan_.units.back().by_length).push_back(&node);
    if (reads_sample) note_expansion(node);
  }

  void begin_unit(Node& product, bool is_visited, bool is_computed) {
    CalibrationUnit unit;
    unit.product = &product;
    unit.weight_port = *find_weight(product, dependence_);
    unit.is_visited = is_visited;
    unit.is_computed = is_computed;
    plan_.units.push_back(std::move(unit));
  }

  /// What repeats elements is not stored for later units but made again: stacked experts read a copy of the activations each.
  void note_expansion(const Node& node) {
    auto inner = expansions_.find(node.input(0).node);
    bool repeats = node.is("Tile") || node.is("Broadcast"), reshapes = node.is("Reshape") || node.is("Unsqueeze") || node.is("Squeeze");
    size_t depth = inner == expansions_.end() ? 0 : inner->second;
    if ((repeats || (reshapes && depth > 0)) && depth < kMaxExpansions) expansions_[&node] = depth + 1;
  }

  bool is_expansion(Value value) const { return expansions_.count(value.node) > 0; }

  /// Puts what makes the value, as far as it is expansions, at the end of the list. No deeper than kMaxExpansions.
  void add_expansion(Value value, std::vector<Node*>& list) const {
    if (!is_expansion(value) || std::find(list.begin(), list.end(), value.node) != list.end()) return;
    for (Value input : value.node->inputs()) add_expansion(input, list);
    list.push_back(value.node);
  }

  void add_expansions(CalibrationUnit& unit) const {
    if (unit.product) add_expansion(unit.input(), unit.before);
    std::vector<Node*> after;
    for (Node* node : unit.after) {
      if (expansions_.count(node)) continue;
      for (Value input : node->inputs()) add_expansion(input, after);
      after.push_back(node);
    }
    unit.after = std::move(after);
  }

  /// Values that the nodes read and do not make.
  void note_reads(size_t unit, std::span<Node* const> nodes, const Node* given) {
    std::unordered_set<const Node*> made(nodes.begin(), nodes.end());
    for (const Node* node : nodes)
      for (Value input : node->inputs())
        if (input.node != given && !made.count(input.node)) note_read(unit, input);
  }

  void note_read(size_t unit, Value value) {
    if (of(value) != Dependence::constant) last_read_[value] = unit;
  }

  void note_reads(size_t index) {
    const CalibrationUnit& unit = plan_.units[index];
    note_reads(index, unit.by_length, nullptr);
    note_reads(index, unit.before, nullptr);
    note_reads(index, unit.after, unit.product);
    if (unit.product && !is_expansion(unit.input())) note_read(index, unit.input());
  }

  void note_kept(Node& node, std::vector<Value>& kept) const {
    for (size_t i = 0; i < node.output_count(); ++i)
      if (last_read_.count({&node, i})) kept.push_back({&node, i});
  }

  void note_kept(CalibrationUnit& unit) const {
    for (Node* node : unit.by_length) note_kept(*node, unit.kept_by_length);
    if (unit.is_computed) note_kept(*unit.product, unit.kept);
    for (Node* node : unit.after)
      if (!expansions_.count(node)) note_kept(*node, unit.kept);
  }

  void note_expired() {
    for (const auto& [value, unit] : last_read_) {
      CalibrationUnit& last = plan_.units[unit];
      (of(value) == Dependence::sample ? last.expired : last.expired_by_length).push_back(value);
    }
  }

  static constexpr size_t kMaxExpansions = 4;

  CalibrationPlan plan_;
  std::span<Node* const> order_;
  const SampleDependence& dependence_;
  Value result_;
  std::unordered_set<const Node*> visited_, needed_;
  std::unordered_map<const Node*, size_t> expansions_;  // and how many follow each other
  std::unordered_map<Value, size_t, ValueHash> last_read_;
};

/// What is not known of a shape is the number of tokens, or one.
size_t bytes_per_token(Value value) {
  const PartialShape& shape = value.shape();
  size_t bits = bit_width(value.type());
  if (!shape.rank_is_known()) return 0;
  for (int64_t dim : shape.dims()) bits *= dim > 0 ? static_cast<size_t>(dim) : 1;
  return bits / 8;
}

}  // namespace

size_t stored_bytes_per_token(const CalibrationPlan& plan) {
  size_t stored = 0, most = 0;
  for (const CalibrationUnit& unit : plan.units) {
    for (Value value : unit.kept) stored += bytes_per_token(value);
    for (Value value : unit.expired) stored -= std::min(stored, bytes_per_token(value));
    most = std::max(most, stored);
  }
  return most;
}

std::optional<size_t> find_weight(const Node& node, const SampleDependence& dependence) {
  auto is_constant = [&](size_t i) { return dependence.of(*node.input(i).node) == Dependence::constant; };
  if (node.is("Gather") && node.input_count() == 3) {
    bool is_table = is_constant(0) && !is_constant(1) && is_constant(2);
    return is_table ? std::optional<size_t>(0) : std::nullopt;
  }
  if (node.input_count() != 2 || is_constant(0) == is_constant(1)) return std::nullopt;
  return is_constant(0) ? 0 : 1;
}

CalibrationPlan plan_calibration(std::span<Node* const> order, const SampleDependence& dependence, std::span<Node* const> layers,
                                 Value result) {
  return Planner(order, dependence, layers, result).make();
}

}  // namespace nibble
