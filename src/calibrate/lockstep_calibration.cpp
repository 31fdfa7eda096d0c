#include "calibrate/lockstep_calibration.hpp"

#include <algorithm>
#include <map>

#include "base/fail.hpp"
#include "base/scratch_mapping.hpp"
#include "base/thread_pool.hpp"
#include "calibrate/calibration_plan.hpp"
#include "calibrate/constant_chain.hpp"
#include "calibrate/model_inputs.hpp"
#include "calibrate/node_program.hpp"
#include "calibrate/value_store.hpp"
#include "device/cpu/constant_values.hpp"
#include "graph/op_set.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// Samples that go through a product together: enough rows for the kernels, and not too much memory beside what is stored.
constexpr size_t kBatchRows = 512;
constexpr size_t kBatchBytes = size_t{64} << 20;

/// What makes a value from stored ones.
class Source {
 public:
  Source(Value value, const NodeProgram& program, bool is_made) : value_(value), program_(program), is_made_(is_made) {}

  template <class Stored>
  Tensor get(const Stored& stored, ThreadPool& threads) const {
    if (!is_made_) return stored(value_);
    std::vector<Tensor> inputs;
    for (Value input : program_.inputs()) inputs.push_back(stored(input));
    return program_.run(inputs, threads)[0];
  }

 private:
  Value value_;
  const NodeProgram& program_;
  bool is_made_;
};

}  // namespace

/// One run: a plan and the values on their way through it. Owners of values are the samples, then the lengths.
class LockstepCalibration::Run {
 public:
  Run(LockstepCalibration& calibration, Graph& graph, std::span<Node* const> layers)
      : calibration_(calibration),
        samples_(calibration.samples_),
        threads_(calibration.context_.threads()),
        order_(graph.topological_order()),
        dependence_(order_),
        plan_(plan_calibration(order_, dependence_, layers)),
        constants_(graph, threads_),
        lengths_(find_lengths(samples_)),
        store_(samples_.size() + lengths_.size(), calibration.options_.memory_limit, spill_directory(calibration.options_)) {
    store_parameters();
  }

  void run(const Visitor& visit) {
    for (const CalibrationUnit& unit : plan_.units) {
      check_cancelled();
      NodeProgram before = before_program(unit);
      if (unit.is_visited) visit_product(unit, before, visit);
      run_lengths(unit);
      run_samples(unit, before);
      for (size_t s = 0; s < samples_.size(); ++s)
        for (Value value : unit.expired) store_.drop(s, value);
      for (const auto& [count, length] : lengths_)
        for (Value value : unit.expired_by_length) store_.drop(length.owner, value);
    }
  }

 private:
  class Constants;
  class Inputs;

  struct Length {
    size_t owner, sample;  ///< of values, and one of the samples that are so long
  };
  static std::map<size_t, Length> find_lengths(const std::vector<std::vector<int64_t>>& samples) {
    std::map<size_t, Length> lengths;
    for (size_t s = 0; s < samples.size(); ++s) lengths.try_emplace(samples[s].size(), Length{samples.size() + lengths.size(), s});
    return lengths;
  }

  static std::filesystem::path spill_directory(const LockstepOptions& options) {
    return options.spill_directory.empty() ? scratch_directory() : options.spill_directory;
  }

  void check_cancelled() const {
    if (calibration_.progress_ && calibration_.progress_->cancelled()) fail(ErrorKind::cancelled, "the calibration was cancelled");
  }

  void store_parameters() {
    for (Node* parameter : plan_.parameters) {
      if (dependence_.of(*parameter) == Dependence::sample) {
        for (size_t s = 0; s < samples_.size(); ++s) store_.put(s, parameter->output(), model_input(*parameter, samples_[s]));
      } else {
        for (const auto& [count, length] : lengths_)
          store_.put(length.owner, parameter->output(), model_input(*parameter, std::vector<int64_t>(count)));
      }
    }
  }

  Tensor stored(size_t sample, Value value) const {
    return store_.get(dependence_.of(*value.node) == Dependence::sample ? sample : lengths_.at(samples_[sample].size()).owner, value);
  }

  NodeProgram before_program(const CalibrationUnit& unit) {
    if (unit.before.empty()) return {};
    std::vector<Value> results{unit.input()};
    return program(unit, unit.before, results);
  }

  NodeProgram program(const CalibrationUnit& unit, std::span<Node* const> nodes, std::span<const Value> results);
  void visit_product(const CalibrationUnit& unit, const NodeProgram& before, const Visitor& visit);
  void run_lengths(const CalibrationUnit& unit);
  void run_samples(const CalibrationUnit& unit, const NodeProgram& before);
  std::vector<Tensor> multiply(const CalibrationUnit& unit, const WeightProduct* product, std::span<const Tensor> inputs);
  std::vector<Tensor> next_inputs(const Source& source, size_t first);
  void run_after(const CalibrationUnit& unit, const NodeProgram& after, size_t sample, const Tensor& product, ThreadPool& threads);
  template <class Body>
  void for_samples(size_t count, const Body& body);

  LockstepCalibration& calibration_;
  const std::vector<std::vector<int64_t>>& samples_;
  ThreadPool& threads_;
  std::vector<Node*> order_;
  SampleDependence dependence_;
  CalibrationPlan plan_;
  cpu::ConstantValues constants_;
  std::map<size_t, Length> lengths_;  // by number of tokens
  ValueStore store_;
};

/// What a visitor put in the place of a weight is not known to the plan, but must be constant.
class LockstepCalibration::Run::Constants : public ConstantReader {
 public:
  Constants(Run& run, const CalibrationUnit& unit) : run_(run), unit_(unit) {}
  bool is_constant(Value value) const override { return is_weight(value) || run_.dependence_.of(*value.node) == Dependence::constant; }
  Tensor read(Value value) override {
    return is_weight(value) ? ConstantChain(*unit_.product, unit_.weight_port, run_.threads_).tensor() : run_.constants_.tensor(value);
  }

 private:
  bool is_weight(Value value) const { return unit_.product && value == unit_.product->input(unit_.weight_port); }
  Run& run_;
  const CalibrationUnit& unit_;
};

/// The inputs of the layer at hand.
class LockstepCalibration::Run::Inputs : public LayerInputs {
 public:
  Inputs(const Run& run, Source source) : run_(run), source_(source) {}
  size_t count() const override { return run_.samples_.size(); }
  Tensor sample(size_t index) const override {
    ThreadPool serial(1);
    return convert(source_.get([&](Value value) { return run_.stored(index, value); }, serial), ElementType::f32);
  }

 private:
  const Run& run_;
  Source source_;
};

NodeProgram LockstepCalibration::Run::program(const CalibrationUnit& unit, std::span<Node* const> nodes, std::span<const Value> results) {
  Constants constants(*this, unit);
  return NodeProgram(nodes, results, constants);
}

void LockstepCalibration::Run::visit_product(const CalibrationUnit& unit, const NodeProgram& before, const Visitor& visit) {
  visit(*unit.product, Inputs(*this, Source(unit.input(), before, !unit.before.empty())));
}

void LockstepCalibration::Run::run_lengths(const CalibrationUnit& unit) {
  if (unit.by_length.empty()) return;
  NodeProgram nodes = program(unit, unit.by_length, unit.kept_by_length);
  for (const auto& [count, length] : lengths_) {
    std::vector<Tensor> inputs;
    for (Value input : nodes.inputs()) inputs.push_back(stored(length.sample, input));
    std::vector<Tensor> made = nodes.run(inputs, threads_);
    for (size_t i = 0; i < made.size(); ++i) store_.put(length.owner, unit.kept_by_length[i], made[i]);
  }
}

/// The inputs of the product for samples `first` and on, as many as go through it together.
std::vector<Tensor> LockstepCalibration::Run::next_inputs(const Source& source, size_t first) {
  std::vector<Tensor> inputs;
  size_t rows = 0, bytes = 0;
  for (size_t s = first; s < samples_.size() && (inputs.empty() || (rows < kBatchRows && bytes < kBatchBytes)); ++s) {
    inputs.push_back(source.get([&](Value value) { return stored(s, value); }, threads_));
    rows += samples_[s].size();
    bytes += inputs.back().byte_size();
  }
  return inputs;
}

/// Calls body(index, threads) for all, on one thread each where there are enough of them.
template <class Body>
void LockstepCalibration::Run::for_samples(size_t count, const Body& body) {
  if (count * 2 < static_cast<size_t>(threads_.size())) {
    for (size_t i = 0; i < count; ++i) body(i, threads_);
    return;
  }
  threads_.parallel_for(count, 1, [&](size_t begin, size_t end) {
    ThreadPool serial(1);
    for (size_t i = begin; i < end; ++i) body(i, serial);
  });
}

void LockstepCalibration::Run::run_after(const CalibrationUnit& unit, const NodeProgram& after, size_t sample, const Tensor& product,
                                         ThreadPool& threads) {
  std::vector<Tensor> inputs;
  for (Value input : after.inputs()) inputs.push_back(unit.product && input.node == unit.product ? product : stored(sample, input));
  std::vector<Tensor> made = after.run(inputs, threads);
  for (size_t i = 0; i < made.size(); ++i) store_.put(sample, unit.kept[i], std::move(made[i]));
}

void LockstepCalibration::Run::run_samples(const CalibrationUnit& unit, const NodeProgram& before) {
  if (unit.kept.empty()) return;
  NodeProgram after = program(unit, unit.after, unit.kept);
  if (!unit.product) {
    for_samples(samples_.size(), [&](size_t s, ThreadPool& threads) { run_after(unit, after, s, {}, threads); });
    return;
  }
  auto product = WeightProduct::make(*unit.product, unit.weight_port, calibration_.options_.precision, threads_);
  Source source(unit.input(), before, !unit.before.empty());
  for (size_t first = 0; first < samples_.size();) {
    check_cancelled();
    std::vector<Tensor> inputs = next_inputs(source, first), products = multiply(unit, product.get(), inputs);
    for_samples(inputs.size(), [&](size_t i, ThreadPool& threads) { run_after(unit, after, first + i, products[i], threads); });
    first += inputs.size();
  }
}

std::vector<Tensor> LockstepCalibration::Run::multiply(const CalibrationUnit& unit, const WeightProduct* product,
                                                       std::span<const Tensor> inputs) {
  auto is_taken = [&](const Tensor& input) { return product->takes(input.shape()); };
  if (product && std::all_of(inputs.begin(), inputs.end(), is_taken)) return product->multiply(inputs, threads_);
  std::vector<Node*> nodes{unit.product};
  std::vector<Value> results{unit.product->output()};
  NodeProgram plain = program(unit, nodes, results);
  std::vector<Tensor> products;
  for (const Tensor& input : inputs) products.push_back(plain.run(std::vector<Tensor>{input}, threads_)[0]);
  return products;
}

LockstepCalibration::LockstepCalibration(std::vector<std::vector<int64_t>> samples, Context& context, const Progress* progress,
                                         LockstepOptions options)
    : samples_(std::move(samples)), context_(context), progress_(progress), options_(std::move(options)) {
  if (samples_.empty()) fail(ErrorKind::invalid_argument, "calibration needs at least one sample");
  if (std::any_of(samples_.begin(), samples_.end(), [](const auto& sample) { return sample.empty(); }))
    fail(ErrorKind::invalid_argument, "a calibration sample has no tokens");
}

void LockstepCalibration::run(Graph& graph, std::span<Node* const> layers, const Visitor& visit) { Run(*this, graph, layers).run(visit); }

}  // namespace nibble
