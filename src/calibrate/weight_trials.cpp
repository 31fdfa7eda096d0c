#include "calibrate/weight_trials.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "calibrate/constant_chain.hpp"
#include "calibrate/lockstep_run.hpp"
#include "calibrate/token_distribution.hpp"
#include "compress/layer_statistics.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// Rows that a layer's versions are tried on, and bytes of their products.
constexpr size_t kTriedRows = 1024;
constexpr size_t kTriedBytes = size_t{64} << 20;

/// Everything in a copied layer but its parameters.
class CopyConstants : public ConstantReader {
 public:
  CopyConstants(const LayerCopy& copy, ThreadPool& threads) : copy_(copy), threads_(threads) {}
  bool is_constant(Value value) const override { return !value.node->is("Parameter"); }
  Tensor read(Value value) override {
    return value == copy_.weight() ? ConstantChain(*copy_.layer, copy_.port, threads_).tensor() : value.node->constant().tensor();
  }

 private:
  const LayerCopy& copy_;
  ThreadPool& threads_;
};

std::vector<Tensor> multiply(const LayerCopy& copy, std::span<const Tensor> inputs, ProductPrecision precision, ThreadPool& threads) {
  auto product = WeightProduct::make(*copy.layer, copy.port, precision, threads);
  auto is_taken = [&](const Tensor& input) { return product->takes(input.shape()); };
  if (product && std::all_of(inputs.begin(), inputs.end(), is_taken)) return product->multiply(inputs, threads);
  CopyConstants constants(copy, threads);
  std::vector<Node*> nodes{copy.layer};
  std::vector<Value> results{copy.layer->output()};
  NodeProgram plain(nodes, results, constants);
  std::vector<Tensor> products;
  for (const Tensor& input : inputs) products.push_back(plain.run(std::vector<Tensor>{input}, threads)[0]);
  return products;
}

double square_difference(const Tensor& a, const Tensor& b) {
  Tensor x = convert(a, ElementType::f32), y = convert(b, ElementType::f32);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double off = static_cast<double>(x.as<float>()[i]) - static_cast<double>(y.as<float>()[i]);
    sum += off * off;
  }
  return sum;
}

double mean_square_difference(std::span<const Tensor> a, std::span<const Tensor> b, ThreadPool& threads) {
  std::vector<double> sums(a.size());
  threads.parallel_for(a.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) sums[i] = square_difference(a[i], b[i]);
  });
  double sum = 0, count = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += sums[i], count += static_cast<double>(a[i].size());
  return count > 0 ? sum / count : 0;
}

using Trials = std::unordered_map<const Node*, const WeightTrial*>;

class TrialRun : public LockstepRun {
 public:
  TrialRun(const Data& data, Graph& graph, std::span<Node* const> layers, Value logits, const Trials& trials, size_t branched,
           LayerProgress& progress)
      : LockstepRun(data, graph, layers, logits, branched * layers.size()), trials_(trials), branched_(branched), progress_(progress) {
    for (size_t s = 0; s < branched; ++s) places_ += tokens(s).size();
  }

  std::unordered_map<const Node*, TrialOutcome> outcomes() {
    for (auto& [layer, outcome] : outcomes_) outcome.divergence = std::max(outcome.divergence / static_cast<double>(places_), 0.0);
    return std::move(outcomes_);
  }

 private:
  bool reads_inputs_afterwards() const override { return true; }

  void after_product(const CalibrationUnit& unit, const NodeProgram& before, const WeightProduct* product) override {
    std::vector<Tensor> inputs = tried_inputs(unit, before);
    std::vector<Tensor> own = LockstepRun::multiply(unit, product, inputs);
    const WeightTrial& trial = *trials_.at(unit.product);
    TrialOutcome& outcome = outcomes_[unit.product];
    for (size_t version = 0; version < trial.versions; ++version) {
      check_cancelled();
      std::vector<Tensor> products = nibble::multiply(trial.make(version), inputs, precision(), threads());
      outcome.errors.push_back(mean_square_difference(own, products, threads()));
      if (version == 0) branch_off(unit, products);
    }
    progress_.advance();
  }

  std::vector<Tensor> tried_inputs(const CalibrationUnit& unit, const NodeProgram& before) const {
    std::vector<Tensor> inputs;
    size_t rows = 0, bytes = 0;
    const PartialShape& shape = unit.product->output_info().shape;
    size_t row_bytes = shape.rank_is_known() && shape.dims().back() > 0 ? static_cast<size_t>(shape.dims().back()) * sizeof(float) : 0;
    for (size_t s = 0; s < sample_count() && (s < branched_ || (rows < kTriedRows && bytes < kTriedBytes)); ++s) {
      inputs.push_back(input_of(unit, before, strand(s), threads()));
      rows += tokens(s).size();
      bytes += std::max(inputs.back().byte_size(), tokens(s).size() * row_bytes);
    }
    return inputs;
  }

  void branch_off(const CalibrationUnit& unit, std::span<const Tensor> products) {
    std::vector<Strand> from, to;
    for (size_t s = 0; s < branched_; ++s) {
      from.push_back(strand(s));
      to.push_back(new_branch(from.back()));
      layer_of_[to.back().owner] = unit.product;
      add_branch(from.back(), to.back());
    }
    follow(unit, after_program(unit), from, to, products.first(branched_));
  }

  /// Samples come to the end before what branched off them.
  void on_result(const Strand& strand, const Tensor& logits) override {
    auto layer = layer_of_.find(strand.owner);
    if (layer != layer_of_.end())
      outcomes_[layer->second].divergence += distance(expected_.at(strand.sample), logits, threads()).kl_sum;
    else if (strand.sample < branched_)
      expected_[strand.sample] = log_probabilities(logits, threads());
  }

  const Trials& trials_;
  size_t branched_, places_ = 0;
  LayerProgress& progress_;
  std::unordered_map<size_t, const Node*> layer_of_;  // by owner
  std::unordered_map<size_t, Tensor> expected_;       // by sample
  std::unordered_map<const Node*, TrialOutcome> outcomes_;
};

Value logits_of(const Graph& graph) {
  Node* result = graph.find_result("logits");
  if (!result) fail(ErrorKind::unsupported, "the model has no output \"logits\": what layers do to it cannot be measured");
  return result->input(0);
}

}  // namespace

bool can_be_tried(const Node& layer, const SampleDependence& dependence) {
  return dependence.of(layer) == Dependence::sample && find_weight(layer, dependence);
}

std::unordered_map<const Node*, TrialOutcome> try_weights(Graph& graph, const std::vector<std::vector<int64_t>>& samples,
                                                          const std::vector<WeightTrial>& trials, const TrialOptions& options,
                                                          Context& context, Progress* progress) {
  auto order = graph.topological_order();
  SampleDependence dependence(order);
  Trials by_layer;
  std::vector<Node*> layers;
  for (const WeightTrial& trial : trials)
    if (can_be_tried(*trial.layer, dependence) && by_layer.emplace(trial.layer, &trial).second) layers.push_back(trial.layer);
  LayerProgress stage(progress, "Measuring what each layer's precision does", layers.size());
  size_t branched = std::min(std::max<size_t>(options.branched_samples, 1), samples.size());
  TrialRun run({samples, options.lockstep, context, progress}, graph, layers, logits_of(graph), by_layer, branched, stage);
  run.run();
  return run.outcomes();
}

}  // namespace nibble
