#include "nibble/inspect.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "pipeline/expert_use.hpp"
#include "pipeline/model_loader.hpp"
#include "pipeline/stored_weights.hpp"
#include "pipeline/weight_kind.hpp"

namespace nibble {

namespace {

std::string kind_of(const Node& consumer, bool feeds_result) {
  if (feeds_result) return "head";
  if (consumer.is("Gather")) return "embedding";
  const std::string& name = consumer.name();
  auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  if (has("attn") || has("attention")) return "attention";
  if (has("mlp") || has("ffn") || has("feed_forward") || has("experts")) return "mlp";
  return "other";
}

class WeightTable {
 public:
  explicit WeightTable(const Graph& graph) : expert_use_(expert_use(graph)) {}

  void add(const Node& consumer) {
    for (size_t port = 0; port < weight_ports(consumer); ++port) add_weight(consumer, consumer.input(port).node);
  }

  void fill(ModelInfo& info, const Graph& graph) {
    for (Node* node : graph.of_type("Constant"))
      if (!counted_.count(node) && is_float(node->constant().type()) && holds_weights(*node)) count("other", {node});
    for (const char* kind : {"embedding", "attention", "mlp", "head", "other"}) {
      auto found = kinds_.find(kind);
      if (found == kinds_.end()) continue;
      info.parameters += found->second.elements;
      info.weight_bytes += found->second.bytes;
      info.weights.push_back(found->second);
    }
    info.bits_per_weight = 8.0 * static_cast<double>(info.weight_bytes) / static_cast<double>(std::max<uint64_t>(info.parameters, 1));
    info.formats = formats_;
  }

 private:
  void add_weight(const Node& consumer, const Node* source) {
    auto constants = weight_constants(source);
    std::erase_if(constants, [&](const Node* node) { return counted_.count(node) > 0; });
    bool is_weight = std::any_of(constants.begin(), constants.end(),
                                 [](const Node* node) { return node->constant().shape().size() >= 2 && holds_weights(*node); });
    if (!is_weight) return;
    auto expert = expert_use_.find(source);
    uint64_t bytes = count(kind_of(consumer, feeds_result(consumer)), constants, expert == expert_use_.end() ? 1 : expert->second);
    add_format(weight_format_of(*source, constants), kind_of(consumer, feeds_result(consumer)), bytes);
  }

  void add_format(WeightFormatInfo format, std::string kind, uint64_t bytes) {
    format.kind = std::move(kind);
    auto same = [&](const WeightFormatInfo& f) {
      return f.kind == format.kind && f.codes == format.codes && f.is_compressed == format.is_compressed &&
             f.has_zero_points == format.has_zero_points && f.has_codebook == format.has_codebook && f.group_size == format.group_size;
    };
    auto found = std::find_if(formats_.begin(), formats_.end(), same);
    if (found == formats_.end()) found = formats_.insert(found, format);
    ++found->count;
    found->bytes += bytes;
  }

  /// `use`: what part of the weight a token needs.
  uint64_t count(const std::string& kind, const std::vector<const Node*>& constants, double use = 1) {
    const Node* codes = largest(constants);
    uint64_t bytes = 0;
    WeightKind& entry = kinds_[kind];
    entry.kind = kind;
    uint64_t elements = element_count(codes->constant().shape());
    entry.elements += elements;
    entry.active_elements += part_of(elements, use);
    ++entry.precisions[std::string(to_string(codes->constant().type()))];
    for (const Node* node : constants) {
      counted_.insert(node);
      if (!is_integer(node->constant().type()) || element_count(node->constant().shape()) > 4 || node == codes)
        bytes += node->constant().byte_size();
    }
    entry.bytes += bytes;
    entry.active_bytes += part_of(bytes, use);
    return bytes;
  }

  static uint64_t part_of(uint64_t count, double use) {
    return use == 1 ? count : static_cast<uint64_t>(std::llround(static_cast<double>(count) * use));
  }

  std::unordered_map<const Node*, double> expert_use_;
  std::vector<WeightFormatInfo> formats_;
  std::map<std::string, WeightKind> kinds_;
  std::unordered_set<const Node*> counted_;
};

void read_config(ModelInfo& info, const ModelFiles& files) {
  nlohmann::json json = read_model_config(files);
  if (json.contains("model_type") && json["model_type"].is_string()) info.architecture = json["model_type"];
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
                          "vocab_size", "max_position_embeddings", "sliding_window"})
    if (json.contains(key) && json[key].is_number_integer()) info.sizes[key] = json[key];
}

std::string name_of(ModelFormat format) {
  switch (format) {
    case ModelFormat::openvino_ir: return "OpenVINO IR";
    case ModelFormat::checkpoint: return "Hugging Face checkpoint";
    case ModelFormat::gguf: return "GGUF";
  }
  return "";
}

uint64_t cache_elements(const Graph& graph) {
  uint64_t elements = 0;
  for (Node* node : graph.of_type("ReadValue")) {
    const PartialShape& shape = node->output_info().shape;
    uint64_t per_token = 1;
    for (int64_t dim : shape.dims()) per_token *= dim > 0 ? static_cast<uint64_t>(dim) : 1;
    elements += shape.rank_is_known() ? per_token : 0;
  }
  return elements;
}

TensorInfo tensor_info(const Node& node, const OutputInfo& output) {
  std::string name = output.names.empty() ? node.name() : fmt::format("{}", fmt::join(output.names, ","));
  return {name, std::string(to_string(output.type)), to_string(output.shape)};
}

}  // namespace

ModelInfo inspect_model(const std::filesystem::path& path) {
  ModelFiles files = find_model(path);
  Graph graph = load_graph(files);
  ModelInfo info;
  info.format = name_of(files.format);
  read_config(info, files);
  WeightTable weights(graph);
  for (const Node* node : graph.topological_order()) {
    ++info.layers;
    ++info.operations[std::string(node->type())];
    weights.add(*node);
  }
  weights.fill(info, graph);
  for (Node* node : graph.parameters()) info.inputs.push_back(tensor_info(*node, node->output_info()));
  for (Node* node : graph.results()) info.outputs.push_back(tensor_info(*node, node->input(0).node->output_info(node->input(0).index)));
  info.cache_elements_per_token = cache_elements(graph);
  return info;
}

std::string print_graph(const std::filesystem::path& path) {
  Graph graph = load_graph(find_model(path));
  std::string text;
  std::unordered_map<const Node*, size_t> numbers;
  for (Node* node : graph.topological_order()) {
    size_t number = numbers.size();
    numbers[node] = number;
    text += fmt::format("%{} = {} \"{}\" (", number, node->type(), node->name());
    for (size_t i = 0; i < node->input_count(); ++i)
      text += fmt::format("{}%{}{}", i ? ", " : "", numbers[node->input(i).node],
                          node->input(i).index ? fmt::format(".{}", node->input(i).index) : "");
    text += ")";
    for (const auto& [key, value] : node->attributes().entries()) text += fmt::format(" {}={}", key, value);
    for (size_t i = 0; i < node->output_count(); ++i)
      text += fmt::format(" -> {}[{}]", to_string(node->output_info(i).type), to_string(node->output_info(i).shape));
    text += "\n";
  }
  return text;
}

ModelPlan plan_model(const std::filesystem::path& path, const std::string& device, const Properties& properties, Context& context) {
  auto model = load_model(path, device, properties, context);
  auto report = model->plan();
  if (!report)
    fail(ErrorKind::unsupported, "the device {} runs graphs as they are, without a plan: take --device CPU", model->device_name());
  ModelPlan plan;
  plan.device = model->device_name();
  plan.obstacle = report->obstacle;
  plan.weights = report->weights;
  plan.weight_bytes = report->weight_bytes;
  for (const PlanStep& step : report->steps) {
    plan.operations.push_back({step.kind, step.detail, step.node, step.unfused});
    plan.unfused += step.unfused;
  }
  return plan;
}

}  // namespace nibble
