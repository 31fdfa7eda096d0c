#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/thread_pool.hpp"
#include "calibrate/calibration_plan.hpp"
#include "calibrate/lockstep_calibration.hpp"
#include "calibrate/node_program.hpp"
#include "calibrate/value_store.hpp"
#include "calibrate/weight_product.hpp"
#include "device/cpu/constant_values.hpp"

namespace nibble {

/// One run of samples through a graph, cut in units: a plan and the values on their way through it. What goes through the units side by
/// side are strands: the samples, and what branches off them on the way. For one thread.
class LockstepRun {
 public:
  struct Data {
    const std::vector<std::vector<int64_t>>& samples;
    const LockstepOptions& options;
    Context& context;
    const Progress* progress;
  };

  /// `result`: a value to compute for every strand beside what the layers read; none unless given. `branches`: how many may be added.
  LockstepRun(const Data& data, Graph& graph, std::span<Node* const> layers, Value result = {}, size_t branches = 0);
  virtual ~LockstepRun() = default;
  LockstepRun(const LockstepRun&) = delete;
  LockstepRun& operator=(const LockstepRun&) = delete;

  void run();

 protected:
  struct Strand {
    size_t owner;   ///< of values in the store
    size_t sample;  ///< whose length it has
  };

  /// A layer to visit is next; its inputs are there, and its weight may still be replaced.
  virtual void before_product(const CalibrationUnit&, const NodeProgram& /*before*/) {}
  /// Whether after_product() reads what the unit read: it is then kept until all strands are through, else only until each is.
  virtual bool reads_inputs_afterwards() const { return false; }
  /// The strands went through the unit. `product`: of a unit that has one and the kernels for it.
  virtual void after_product(const CalibrationUnit&, const NodeProgram& /*before*/, const WeightProduct* /*product*/) {}
  /// The strand came to the result.
  virtual void on_result(const Strand&, const Tensor&) {}

  /// What makes a unit's input from stored values, for one strand.
  Tensor input_of(const CalibrationUnit& unit, const NodeProgram& before, const Strand& strand, ThreadPool& threads) const;
  std::vector<Tensor> multiply(const CalibrationUnit& unit, const WeightProduct* product, std::span<const Tensor> inputs);
  /// What follows the product, made ready.
  NodeProgram after_program(const CalibrationUnit& unit) { return program(unit, unit.after, unit.kept); }
  /// Lets strands `from`, with the unit's products given, go through what follows it; values belong to `to` afterwards.
  void follow(const CalibrationUnit& unit, const NodeProgram& after, std::span<const Strand> from, std::span<const Strand> to,
              std::span<const Tensor> products);
  /// A strand that shares the values of another but for those that it has already. It goes through the units from the next one on.
  void add_branch(const Strand& from, const Strand& branch) { branches_.push_back({from, branch}); }
  Strand new_branch(const Strand& from) { return {next_owner_++, from.sample}; }

  ThreadPool& threads() const { return threads_; }
  size_t sample_count() const { return data_.samples.size(); }
  const std::vector<int64_t>& tokens(size_t sample) const { return data_.samples[sample]; }
  Strand strand(size_t sample) const { return {sample, sample}; }
  ProductPrecision precision() const { return data_.options.precision; }
  void check_cancelled() const;

 private:
  class Constants;

  struct Length {
    size_t owner, sample;  ///< of values, and one of the samples that are so long
  };
  struct Branch {
    Strand from, to;
  };
  static std::map<size_t, Length> find_lengths(const std::vector<std::vector<int64_t>>& samples);

  void store_parameters(const CalibrationPlan& plan);
  Tensor stored(const Strand& strand, Value value) const;
  NodeProgram before_program(const CalibrationUnit& unit);
  NodeProgram program(const CalibrationUnit& unit, std::span<Node* const> nodes, std::span<const Value> results);
  void run_lengths(const CalibrationUnit& unit);
  void run_samples(const CalibrationUnit& unit, const NodeProgram& before, const WeightProduct* product);
  size_t run_side_by_side(const CalibrationUnit& unit, const NodeProgram& before, const NodeProgram& after, const WeightProduct* product);
  std::vector<std::span<const Strand>> side_by_side(const CalibrationUnit& unit, const WeightProduct* product) const;
  void run_together(const CalibrationUnit& unit, const NodeProgram& before, const NodeProgram& after, const WeightProduct* product,
                    size_t first);
  void follow_one(const CalibrationUnit& unit, const NodeProgram& after, const Strand& from, const Strand& to, const Tensor& product,
                  ThreadPool& threads);
  bool makes_result(const CalibrationUnit& unit) const;
  std::vector<Tensor> next_inputs(const CalibrationUnit& unit, const NodeProgram& before, size_t first) const;
  void drop_expired(const CalibrationUnit& unit, std::span<const Strand> strands);
  void drop_expired_by_length(const CalibrationUnit& unit);
  void join_branches();
  template <class Body>
  void for_each(size_t count, const Body& body);

  Data data_;
  ThreadPool& threads_;
  std::vector<Node*> order_;
  SampleDependence dependence_;
  Value result_;
  CalibrationPlan plan_;
  cpu::ConstantValues constants_;
  std::map<size_t, Length> lengths_;  // by number of tokens
  ValueStore store_;
  std::vector<Strand> strands_;
  std::vector<Branch> branches_;  // that join the strands after this unit
  size_t next_owner_;
};

}  // namespace nibble
