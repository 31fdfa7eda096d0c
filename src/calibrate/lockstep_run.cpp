#include "calibrate/lockstep_run.hpp"

#include <algorithm>
#include <thread>

#include "base/fail.hpp"
#include "base/scratch_mapping.hpp"
#include "calibrate/constant_chain.hpp"
#include "calibrate/model_inputs.hpp"

namespace nibble {

namespace {

/// Strands that go through a product together: enough rows for the kernels, and not too much memory beside what is stored.
constexpr size_t kBatchRows = 512;
constexpr size_t kBatchBytes = size_t{64} << 20;
/// Rows that a thread takes through a unit by itself, and how many times it does so at least: else threads would wait for the last.
constexpr size_t kRowsAlone = 96;
constexpr size_t kTimesAlone = 4;

std::filesystem::path spill_directory(const LockstepOptions& options) {
  return options.spill_directory.empty() ? scratch_directory() : options.spill_directory;
}

/// Bytes that a row of f32 has; 0 where that is not known.
size_t row_bytes(const PartialShape& shape) {
  bool is_known = shape.rank_is_known() && shape.rank() > 0 && shape.dims().back() > 0;
  return is_known ? static_cast<size_t>(shape.dims().back()) * sizeof(float) : 0;
}

}  // namespace

/// What a visitor put in the place of a weight is not known to the plan, but must be constant.
class LockstepRun::Constants : public ConstantReader {
 public:
  Constants(LockstepRun& run, const CalibrationUnit& unit) : run_(run), unit_(unit) {}
  bool is_constant(Value value) const override { return is_weight(value) || run_.dependence_.of(*value.node) == Dependence::constant; }
  Tensor read(Value value) override {
    return is_weight(value) ? ConstantChain(*unit_.product, unit_.weight_port, run_.threads_).tensor() : run_.constants_.tensor(value);
  }
  cpu::ConstantValues* graph_constants() override { return &run_.constants_; }

 private:
  bool is_weight(Value value) const { return unit_.product && value == unit_.product->input(unit_.weight_port); }
  LockstepRun& run_;
  const CalibrationUnit& unit_;
};

LockstepRun::LockstepRun(const Data& data, Graph& graph, std::span<Node* const> layers, Value result, size_t branches)
    : data_(data),
      threads_(data.context.threads()),
      order_(graph.topological_order()),
      dependence_(order_),
      result_(result),
      plan_(plan_calibration(order_, dependence_, layers, result)),
      constants_(graph, threads_),
      lengths_(find_lengths(data.samples)),
      store_(data.samples.size() + lengths_.size() + branches, data.options.memory_limit, spill_directory(data.options)),
      next_owner_(data.samples.size() + lengths_.size()) {
  for (size_t s = 0; s < data.samples.size(); ++s) strands_.push_back(strand(s));
  store_parameters(plan_);
}

std::map<size_t, LockstepRun::Length> LockstepRun::find_lengths(const std::vector<std::vector<int64_t>>& samples) {
  std::map<size_t, Length> lengths;
  for (size_t s = 0; s < samples.size(); ++s) lengths.try_emplace(samples[s].size(), Length{samples.size() + lengths.size(), s});
  return lengths;
}

void LockstepRun::run() {
  for (const CalibrationUnit& unit : plan_.units) {
    check_cancelled();
    NodeProgram before = before_program(unit);
    if (unit.is_visited) before_product(unit, before);
    run_lengths(unit);
    bool is_needed = unit.product && !unit.kept.empty();
    auto product = is_needed ? WeightProduct::make(*unit.product, unit.weight_port, precision(), threads_) : nullptr;
    run_samples(unit, before, product.get());
    if (unit.is_visited) after_product(unit, before, product.get());
    drop_expired(unit, strands_);
    drop_expired_by_length(unit);
    join_branches();
  }
}

void LockstepRun::check_cancelled() const {
  if (data_.progress && data_.progress->cancelled()) fail(ErrorKind::cancelled, "the calibration was cancelled");
}

void LockstepRun::store_parameters(const CalibrationPlan& plan) {
  for (Node* parameter : plan.parameters) {
    if (dependence_.of(*parameter) == Dependence::sample) {
      for (size_t s = 0; s < sample_count(); ++s) store_.put(s, parameter->output(), model_input(*parameter, tokens(s)));
    } else {
      for (const auto& [count, length] : lengths_)
        store_.put(length.owner, parameter->output(), model_input(*parameter, std::vector<int64_t>(count)));
    }
  }
}

Tensor LockstepRun::stored(const Strand& strand, Value value) const {
  bool is_own = dependence_.of(*value.node) == Dependence::sample;
  return store_.get(is_own ? strand.owner : lengths_.at(tokens(strand.sample).size()).owner, value);
}

NodeProgram LockstepRun::before_program(const CalibrationUnit& unit) {
  if (unit.before.empty()) return {};
  std::vector<Value> results{unit.input()};
  return program(unit, unit.before, results);
}

NodeProgram LockstepRun::program(const CalibrationUnit& unit, std::span<Node* const> nodes, std::span<const Value> results) {
  Constants constants(*this, unit);
  return NodeProgram(nodes, results, constants);
}

Tensor LockstepRun::input_of(const CalibrationUnit& unit, const NodeProgram& before, const Strand& strand, ThreadPool& threads) const {
  if (unit.before.empty()) return stored(strand, unit.input());
  std::vector<Tensor> inputs;
  for (Value input : before.inputs()) inputs.push_back(stored(strand, input));
  return before.run(inputs, threads)[0];
}

void LockstepRun::run_lengths(const CalibrationUnit& unit) {
  if (unit.by_length.empty()) return;
  NodeProgram nodes = program(unit, unit.by_length, unit.kept_by_length);
  for (const auto& [count, length] : lengths_) {
    std::vector<Tensor> inputs;
    for (Value input : nodes.inputs()) inputs.push_back(stored(strand(length.sample), input));
    std::vector<Tensor> made = nodes.run(inputs, threads_);
    for (size_t i = 0; i < made.size(); ++i) store_.put(length.owner, unit.kept_by_length[i], made[i]);
  }
}

/// The inputs of the product for strands `first` and on, as many as go through it together.
std::vector<Tensor> LockstepRun::next_inputs(const CalibrationUnit& unit, const NodeProgram& before, size_t first) const {
  std::vector<Tensor> inputs;
  size_t rows = 0, bytes = 0, out_row_bytes = row_bytes(unit.product->output_info().shape);
  for (size_t s = first; s < strands_.size() && (inputs.empty() || (rows < kBatchRows && bytes < kBatchBytes)); ++s) {
    inputs.push_back(input_of(unit, before, strands_[s], threads_));
    size_t length = tokens(strands_[s].sample).size();
    rows += length;
    bytes += std::max(inputs.back().byte_size(), length * out_row_bytes);
  }
  return inputs;
}

/// Calls body(index, threads) for all, on one thread each where there are enough of them.
template <class Body>
void LockstepRun::for_each(size_t count, const Body& body) {
  if (count * 2 < static_cast<size_t>(threads_.size())) {
    for (size_t i = 0; i < count; ++i) body(i, threads_);
    return;
  }
  threads_.parallel_for(count, 1, [&](size_t begin, size_t end) {
    ThreadPool serial(1);
    for (size_t i = begin; i < end; ++i) body(i, serial);
  });
}

void LockstepRun::follow(const CalibrationUnit& unit, const NodeProgram& after, std::span<const Strand> from, std::span<const Strand> to,
                         std::span<const Tensor> products) {
  for_each(from.size(),
           [&](size_t s, ThreadPool& threads) { follow_one(unit, after, from[s], to[s], unit.product ? products[s] : Tensor(), threads); });
  if (!makes_result(unit)) return;
  for (const Strand& strand : to) {
    on_result(strand, stored(strand, result_));
    store_.drop(strand.owner, result_);
  }
}

void LockstepRun::follow_one(const CalibrationUnit& unit, const NodeProgram& after, const Strand& from, const Strand& to,
                             const Tensor& product, ThreadPool& threads) {
  std::vector<Tensor> inputs;
  for (Value input : after.inputs()) inputs.push_back(unit.product && input.node == unit.product ? product : stored(from, input));
  std::vector<Tensor> made = after.run(inputs, threads);
  for (size_t i = 0; i < made.size(); ++i) store_.put(to.owner, unit.kept[i], std::move(made[i]));
}

bool LockstepRun::makes_result(const CalibrationUnit& unit) const {
  return result_ && std::find(unit.kept.begin(), unit.kept.end(), result_) != unit.kept.end();
}

void LockstepRun::run_samples(const CalibrationUnit& unit, const NodeProgram& before, const WeightProduct* product) {
  if (unit.kept.empty()) return;
  NodeProgram after = after_program(unit);
  if (!unit.product) return follow(unit, after, strands_, strands_, {});
  run_together(unit, before, after, product, run_side_by_side(unit, before, after, product));
}

/// Neighbouring strands, in parts that the threads may take through the unit by themselves, as many for each thread. Empty where there are
/// too few, or what lies between the unit's nodes would take too much memory.
std::vector<std::span<const LockstepRun::Strand>> LockstepRun::side_by_side(const CalibrationUnit& unit,
                                                                            const WeightProduct* product) const {
  const PartialShape& x = unit.input().shape();
  if (!product || product->is_stack() || makes_result(unit) || !x.rank_is_known() || !product->takes(x.dims())) return {};
  std::vector<std::span<const Strand>> parts;
  auto threads = static_cast<size_t>(threads_.size());
  size_t first = 0, rows = 0, most_rows = 0;
  for (size_t s = 0; s < strands_.size(); ++s) {
    rows += tokens(strands_[s].sample).size();
    if (rows < kRowsAlone) continue;
    parts.push_back(std::span(strands_).subspan(first, s + 1 - first));
    most_rows = std::max(most_rows, rows);
    first = s + 1, rows = 0;
  }
  size_t bytes = most_rows * std::max(row_bytes(x), row_bytes(unit.product->output_info().shape));
  if (parts.size() < kTimesAlone * threads || bytes > kBatchBytes / threads) return {};
  parts.resize(parts.size() / threads * threads);
  return parts;
}

/// Without a word between the threads, and with what one node makes for the next in their own caches. Returns how many strands are through.
size_t LockstepRun::run_side_by_side(const CalibrationUnit& unit, const NodeProgram& before, const NodeProgram& after,
                                     const WeightProduct* product) {
  auto parts = side_by_side(unit, product);
  auto caller = std::this_thread::get_id();
  threads_.parallel_for(parts.size(), 1, [&](size_t begin, size_t end) {
    ThreadPool serial(1);
    for (auto part : std::span(parts).subspan(begin, end - begin)) {
      if (std::this_thread::get_id() == caller) check_cancelled();
      std::vector<Tensor> inputs;
      for (const Strand& strand : part) inputs.push_back(input_of(unit, before, strand, serial));
      std::vector<Tensor> products = product->multiply(inputs, serial);
      for (size_t i = 0; i < part.size(); ++i) follow_one(unit, after, part[i], part[i], products[i], serial);
      if (!reads_inputs_afterwards()) drop_expired(unit, part);
    }
  });
  return parts.empty() ? 0 : static_cast<size_t>(parts.back().data() + parts.back().size() - strands_.data());
}

/// Strands `first` and on, in batches that all threads share.
void LockstepRun::run_together(const CalibrationUnit& unit, const NodeProgram& before, const NodeProgram& after,
                               const WeightProduct* product, size_t first) {
  while (first < strands_.size()) {
    check_cancelled();
    std::vector<Tensor> inputs = next_inputs(unit, before, first), products = multiply(unit, product, inputs);
    auto strands = std::span(strands_).subspan(first, inputs.size());
    follow(unit, after, strands, strands, products);
    if (!reads_inputs_afterwards()) drop_expired(unit, strands);
    first += inputs.size();
  }
}

std::vector<Tensor> LockstepRun::multiply(const CalibrationUnit& unit, const WeightProduct* product, std::span<const Tensor> inputs) {
  auto is_taken = [&](const Tensor& input) { return product->takes(input.shape()); };
  if (product && std::all_of(inputs.begin(), inputs.end(), is_taken)) return product->multiply(inputs, threads_);
  std::vector<Node*> nodes{unit.product};
  std::vector<Value> results{unit.product->output()};
  NodeProgram plain = program(unit, nodes, results);
  std::vector<Tensor> products;
  for (const Tensor& input : inputs) products.push_back(plain.run(std::vector<Tensor>{input}, threads_)[0]);
  return products;
}

void LockstepRun::drop_expired(const CalibrationUnit& unit, std::span<const Strand> strands) {
  for (const Strand& strand : strands)
    for (Value value : unit.expired) store_.drop(strand.owner, value);
}

void LockstepRun::drop_expired_by_length(const CalibrationUnit& unit) {
  for (const auto& [count, length] : lengths_)
    for (Value value : unit.expired_by_length) store_.drop(length.owner, value);
}

void LockstepRun::join_branches() {
  for (const Branch& branch : branches_) {
    store_.share(branch.from.owner, branch.to.owner);
    strands_.push_back(branch.to);
  }
  branches_.clear();
}

}  // namespace nibble
