#include "nibble/inspect.hpp"

#include <fmt/format.h>

#include "cli/command.hpp"

namespace nibble::cli {

namespace {

struct Options {
  ModelOptions model_options;
  std::string model;
  int64_t context_length = 0;
  bool graph = false, plan = false, as_json = false;
};

int64_t context_length(const Options& o, const ModelInfo& info) {
  if (o.context_length > 0) return o.context_length;
  auto found = info.sizes.find("max_position_embeddings");
  return found == info.sizes.end() ? 2048 : std::min<int64_t>(found->second, 4096);
}

json tensors(const std::vector<TensorInfo>& infos) {
  json list = json::array();
  for (const auto& t : infos) list.push_back({{"name", t.name}, {"type", t.type}, {"shape", t.shape}});
  return list;
}

json to_json(const ModelInfo& info, const Options& o) {
  json kinds = json::array();
  for (const auto& kind : info.weights)
    kinds.push_back({{"kind", kind.kind},
                     {"elements", kind.elements},
                     {"bytes", kind.bytes},
                     {"bits_per_weight", kind.bits_per_weight()},
                     {"precisions", kind.precisions}});
  uint64_t cache = info.cache_elements_per_token * static_cast<uint64_t>(context_length(o, info));
  return {{"model", o.model},
          {"format", info.format},
          {"architecture", info.architecture},
          {"sizes", info.sizes},
          {"parameters", info.parameters},
          {"weight_bytes", info.weight_bytes},
          {"bits_per_weight", info.bits_per_weight},
          {"weights", kinds},
          {"inputs", tensors(info.inputs)},
          {"outputs", tensors(info.outputs)},
          {"layers", info.layers},
          {"operations", info.operations},
          {"memory",
           {{"context_length", context_length(o, info)},
            {"kv_cache_bytes_f32", cache * 4},
            {"kv_cache_bytes_f16", cache * 2},
            {"kv_cache_bytes_u8", cache}}}};
}

void print_info(const ModelInfo& info, const Options& o) {
  print(fmt::format("{}: {}{}{}\n", o.model, info.format, info.architecture.empty() ? "" : ", ", info.architecture));
  for (const auto& [name, value] : info.sizes) print(fmt::format("  {:<24} {}\n", name, value));
  print(fmt::format("  {:<24} {:.3f} million in {}, {:.2f} bits each\n\n", "weights", static_cast<double>(info.parameters) / 1e6,
                    human_bytes(static_cast<double>(info.weight_bytes)), info.bits_per_weight));
  std::vector<std::vector<std::string>> rows{{"layers", "weights", "size", "bits", "stored as"}};
  for (const auto& kind : info.weights) {
    std::string stored;
    for (const auto& [type, count] : kind.precisions) stored += fmt::format("{}{} x {}", stored.empty() ? "" : ", ", count, type);
    rows.push_back({kind.kind, fmt::format("{}", kind.elements), human_bytes(static_cast<double>(kind.bytes)),
                    fmt::format("{:.2f}", kind.bits_per_weight()), stored});
  }
  print(format_table(rows) + "\n");
  for (const auto& t : info.inputs) print(fmt::format("input   {} {} [{}]\n", t.name, t.type, t.shape));
  for (const auto& t : info.outputs) print(fmt::format("output  {} {} [{}]\n", t.name, t.type, t.shape));
  auto cache = static_cast<double>(info.cache_elements_per_token) * static_cast<double>(context_length(o, info));
  auto total = [&](double bytes) { return human_bytes(static_cast<double>(info.weight_bytes) + cache * bytes); };
  print(fmt::format("\nmemory for {} tokens of context: {} with an f32 cache, {} with f16, {} with u8\n", context_length(o, info), total(4),
                    total(2), total(1)));
}

json to_json(const ModelPlan& plan, const Options& o) {
  json operations = json::array();
  for (const auto& op : plan.operations)
    operations.push_back({{"kind", op.kind}, {"detail", op.detail}, {"node", op.node}, {"unfused", op.unfused}});
  return {{"model", o.model},        {"device", plan.device},     {"operations", operations},
          {"unfused", plan.unfused}, {"obstacle", plan.obstacle}, {"weights", {{"bytes", plan.weight_bytes}, {"origin", plan.weights}}}};
}

void print_plan(const ModelPlan& plan) {
  std::vector<std::vector<std::string>> rows{{"", "operation", "how", "node"}};
  for (size_t i = 0; i < plan.operations.size(); ++i) {
    const auto& op = plan.operations[i];
    rows.push_back({fmt::format("{}", i), op.kind + (op.unfused ? " (unfused)" : ""), op.detail, op.node});
  }
  print(format_table(rows));
  if (!plan.obstacle.empty()) print(fmt::format("\nruns op by op: {}\n", plan.obstacle));
  if (plan.weight_bytes)
    print(fmt::format("\npacked weights: {}, {}\n", human_bytes(static_cast<double>(plan.weight_bytes)), plan.weights));
  print(fmt::format("{} operations, {} unfused\n", plan.operations.size(), plan.unfused));
}

void run_plan(Options& o) {
  auto context = o.model_options.context();
  ModelPlan plan = plan_model(o.model, o.model_options.device, o.model_options.property_map(), *context);
  if (o.as_json) return print_json(to_json(plan, o));
  print_plan(plan);
}

void run(Options& o) {
  o.model = o.model_options.model;
  if (o.plan) return run_plan(o);
  if (o.graph) return print(print_graph(o.model));
  ModelInfo info = inspect_model(o.model);
  if (o.as_json) return print_json(to_json(info, o));
  print_info(info, o);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto* command = app.add_subcommand("inspect", "Show what a model is and what it needs");
  auto o = std::make_shared<Options>();
  o->model_options.add_to(*command);
  command->add_option("--context-length", o->context_length, "tokens of context to compute memory for")->check(CLI::PositiveNumber);
  command->add_flag("--graph", o->graph, "print every layer of the graph");
  command->add_flag("--plan", o->plan, "print the operations that the device runs, and how");
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->footer(
      "\nExamples:\n  nibble inspect ./model\n  nibble inspect ./model --context-length 8192 --json\n  nibble inspect ./model --plan "
      "--device CPU");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
