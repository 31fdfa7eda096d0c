#include "calibrate/lockstep_calibration.hpp"

#include <algorithm>
#include <numeric>

#include "base/fail.hpp"
#include "calibrate/lockstep_run.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

/// Of the weights' bytes, for the activations of a group of samples.
constexpr size_t kShareOfWeights = 8;

/// Shows layers and their inputs to a visitor.
class VisitingRun : public LockstepRun {
 public:
  VisitingRun(const Data& data, Graph& graph, std::span<Node* const> layers, const Calibration::Visitor& visit)
      : LockstepRun(data, graph, layers), visit_(visit) {}

 private:
  /// The inputs of the layer at hand.
  class Inputs : public LayerInputs {
   public:
    Inputs(const VisitingRun& run, const CalibrationUnit& unit, const NodeProgram& before) : run_(run), unit_(unit), before_(before) {}
    size_t count() const override { return run_.sample_count(); }
    Tensor sample(size_t index) const override {
      ThreadPool serial(1);
      return convert(run_.input_of(unit_, before_, run_.strand(index), serial), ElementType::f32);
    }

   private:
    const VisitingRun& run_;
    const CalibrationUnit& unit_;
    const NodeProgram& before_;
  };

  void before_product(const CalibrationUnit& unit, const NodeProgram& before) override {
    visit_(*unit.product, Inputs(*this, unit, before));
  }

  const Calibration::Visitor& visit_;
};

}  // namespace

LockstepCalibration::LockstepCalibration(std::vector<std::vector<int64_t>> samples, Context& context, const Progress* progress,
                                         LockstepOptions options)
    : samples_(std::move(samples)), context_(context), progress_(progress), options_(std::move(options)) {
  if (samples_.empty()) fail(ErrorKind::invalid_argument, "calibration needs at least one sample");
  if (std::any_of(samples_.begin(), samples_.end(), [](const auto& sample) { return sample.empty(); }))
    fail(ErrorKind::invalid_argument, "a calibration sample has no tokens");
}

/// How many tokens may go through the layers together.
size_t LockstepCalibration::tokens_of_group(Graph& graph, std::span<Node* const> layers) const {
  std::vector<Node*> order = graph.topological_order();
  SampleDependence dependence(order);
  size_t weights = 0;
  for (const Node* node : order)
    if (node->is("Constant")) weights += node->constant().byte_size();
  size_t each = std::max<size_t>(1, stored_bytes_per_token(plan_calibration(order, dependence, layers)));
  return std::max(options_.group_tokens, std::min(weights / kShareOfWeights, options_.memory_limit) / each);
}

void LockstepCalibration::observe(Graph& graph, std::span<Node* const> layers, const Visitor& visit) {
  size_t all = std::accumulate(samples_.begin(), samples_.end(), size_t{0}, [](size_t sum, const auto& ids) { return sum + ids.size(); });
  size_t most = tokens_of_group(graph, layers), groups = (all + most - 1) / most, seen = 0, done = 0;
  std::vector<std::vector<int64_t>> group;
  for (const auto& sample : samples_) {
    group.push_back(sample);
    seen += sample.size();
    if (seen * groups < all * (done + 1)) continue;
    VisitingRun({group, options_, context_, progress_}, graph, layers, visit).run();
    group.clear();
    ++done;
  }
}

void LockstepCalibration::run(Graph& graph, std::span<Node* const> layers, const Visitor& visit) {
  VisitingRun({samples_, options_, context_, progress_}, graph, layers, visit).run();
}

}  // namespace nibble
