#include "device/cpu/cpu_device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/fail.hpp"
#include "base/thread_pool.hpp"
#include "device/cpu/cpu_model.hpp"
#include "device/cpu/cpu_properties.hpp"
#include "device/cpu/steps.hpp"
#include "device/reference/reference_device.hpp"
#include "graph/op_set.hpp"

namespace nibble::cpu {

namespace {

std::vector<PortInfo> ports_of(const std::vector<Node*>& nodes) {
  std::vector<PortInfo> ports;
  for (const Node* node : nodes) {
    bool is_result = node->is("Result") && node->output_info().names.empty();
    const OutputInfo& info = is_result ? node->input(0).node->output_info(node->input(0).index) : node->output_info();
    ports.push_back({info.names.empty() ? node->name() : *info.names.begin(), node->output_info().type, node->output_info().shape});
  }
  return ports;
}

/// The one of most weights.
Arithmetic main_arithmetic(const Precision& precision, const PackedWeights& weights) {
  std::map<Arithmetic, size_t> counts;
  for (size_t i = 0; i < weights.size(); ++i)
    counts[arithmetic_of(precision, weights.matrix(i))] += weights.matrix(i).rows * weights.matrix(i).columns;
  auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  return counts.empty() ? Arithmetic::f32 : std::max_element(counts.begin(), counts.end(), less)->first;
}

class PagedCompiledModel : public CompiledModel {
 public:
  explicit PagedCompiledModel(std::shared_ptr<const PagedModel> model) : model_(std::move(model)) {}
  std::string_view device_name() const override { return "CPU"; }
  const std::vector<PortInfo>& inputs() const override { return model_->inputs; }
  const std::vector<PortInfo>& outputs() const override { return model_->outputs; }
  std::unique_ptr<InferRequest> create_request() const override { return make_paged_request(model_); }
  std::unique_ptr<ModelRunner> create_runner() const override { return make_paged_runner(model_); }

  std::optional<PlanReport> plan() const override {
    const Plan& plan = model_->lowered->plan;
    const LoadReport& load = plan.weights->report();
    PlanReport report;
    report.weights = load.from_cache ? "from the cache" : "packed now: " + load.reason;
    report.weight_bytes = load.bytes;
    report.isa = to_string(plan.precision.isa);
    report.arithmetic = main_arithmetic(plan.precision, *plan.weights);
    for (const auto& step : plan.steps)
      report.steps.push_back({std::string(step->kind()), step->detail(plan), step->name, step->is_unfused()});
    return report;
  }

 private:
  std::shared_ptr<const PagedModel> model_;
};

/// A graph that is not a language model of the kind that plans are made for: every operation by its `evaluate`.
class UnplannedModel : public CompiledModel {
 public:
  UnplannedModel(std::unique_ptr<CompiledModel> model, PlanReport report) : model_(std::move(model)), report_(std::move(report)) {}
  std::string_view device_name() const override { return "CPU"; }
  const std::vector<PortInfo>& inputs() const override { return model_->inputs(); }
  const std::vector<PortInfo>& outputs() const override { return model_->outputs(); }
  std::unique_ptr<InferRequest> create_request() const override { return model_->create_request(); }
  std::optional<PlanReport> plan() const override { return report_; }

 private:
  std::unique_ptr<CompiledModel> model_;
  PlanReport report_;
};

std::unique_ptr<CompiledModel> compile_unplanned(Graph graph, std::string obstacle, Context& context) {
  context.log(LogLevel::warning, fmt::format("CPU: this model runs op by op, which is slow: {}", obstacle));
  PlanReport report;
  report.obstacle = std::move(obstacle);
  for (const Node* node : graph.topological_order())
    if (node->op().evaluate) report.steps.push_back({std::string(node->type()), "", node->name(), true});
  return std::make_unique<UnplannedModel>(ReferenceDevice().compile(std::move(graph), {}, context), std::move(report));
}

}  // namespace

std::unique_ptr<CompiledModel> CpuDevice::compile(Graph graph, const Properties& properties, Context& context) const {
  CpuOptions options = read_cpu_properties(properties, graph);
  auto model = std::make_shared<PagedModel>();
  if (options.threads > 0 || options.pinned)
    model->own_threads = std::make_shared<ThreadPool>(options.threads, options.pinned ? CpuPinning::on : CpuPinning::off);
  model->threads = model->own_threads ? model->own_threads.get() : &context.threads();
  model->inputs = ports_of(graph.parameters());
  model->outputs = ports_of(graph.results());
  std::string obstacle;
  model->lowered = lower(graph, options.precision, *model->threads, obstacle);
  if (!model->lowered) return compile_unplanned(std::move(graph), std::move(obstacle), context);
  Plan& plan = model->lowered->plan;
  plan.weights = load_packed_weights(std::move(plan.weight_requests), options.cache, context);
  plan.weight_requests.clear();
  return std::make_unique<PagedCompiledModel>(std::move(model));
}

}  // namespace nibble::cpu
