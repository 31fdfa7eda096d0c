#include "device/cpu/cpu_properties.hpp"

#include <algorithm>
#include <charconv>

#include "base/fail.hpp"

namespace nibble::cpu {

namespace {

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

[[noreturn]] void refuse(std::string_view name, std::string_view value, std::string_view known) {
  fail(ErrorKind::invalid_argument, "{}={}: the CPU device takes {}", name, value, known);
}

uint64_t read_count(std::string_view name, const std::string& value) {
  uint64_t count = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size()) refuse(name, value, "a number of 0 or more");
  return count;
}

bool read_switch(std::string_view name, const std::string& value) {
  std::string text = lower_case(value);
  if (text == "yes" || text == "true" || text == "1") return true;
  if (text == "no" || text == "false" || text == "0") return false;
  refuse(name, value, "YES or NO");
}

KvPrecision read_kv_precision(std::string_view name, const std::string& value) {
  std::string text = lower_case(value);
  if (text == "f32") return KvPrecision::f32;
  if (text == "f16") return KvPrecision::f16;
  if (text == "bf16") return KvPrecision::bf16;
  if (text == "u8" || text == "i8") return KvPrecision::u8;
  refuse(name, value, "f32, f16, bf16 or u8");
}

bool read_bf16(std::string_view name, const std::string& value) {
  std::string text = lower_case(value);
  if (text == "bf16") return true;
  if (text == "f32" || text == "f16" || text == "dynamic") return false;
  refuse(name, value, "f32, f16 (computed in f32) or bf16");
}

/// Activations share scales in whole chunks.
size_t read_group(std::string_view name, const std::string& value) {
  size_t group = read_count(name, value);
  return group == 0 ? 0 : std::max(kChunk, group / kChunk * kChunk);
}

void require_one_of(std::string_view name, const std::string& value, std::initializer_list<std::string_view> known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  std::string list;
  for (std::string_view text : known) list += (list.empty() ? "" : ", ") + std::string(text);
  refuse(name, value, list);
}

/// The exact computation, for EXECUTION_MODE_HINT=ACCURACY.
void be_accurate(Precision& precision) {
  precision.bf16 = false;
  precision.dynamic_quantization_group = 0;
}

void apply(const std::string& name, const std::string& value, CpuOptions& options) {
  Precision& precision = options.precision;
  if (name == "INFERENCE_PRECISION_HINT")
    precision.bf16 = read_bf16(name, value);
  else if (name == "KV_CACHE_PRECISION")
    precision.kv = read_kv_precision(name, value);
  else if (name == "DYNAMIC_QUANTIZATION_GROUP_SIZE")
    precision.dynamic_quantization_group = read_group(name, value);
  else if (name == "INFERENCE_NUM_THREADS")
    options.threads = static_cast<int>(std::min<uint64_t>(read_count(name, value), 1024));
  else if (name == "ENABLE_CPU_PINNING")
    options.pinned = read_switch(name, value);
  else if (name == "CACHE_DIR")
    options.cache.directory = value;
  else if (name == "PERFORMANCE_HINT")
    require_one_of(name, value, {"LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT", "UNDEFINED", ""});
  else if (name == "NUM_STREAMS")
    require_one_of(name, value, {"1", "AUTO"});
  else if (name == "EXECUTION_MODE_HINT")
    require_one_of(name, value, {"PERFORMANCE", "ACCURACY"});
  else
    fail(ErrorKind::invalid_argument,
         "the CPU device does not know the property {}: it knows INFERENCE_PRECISION_HINT, KV_CACHE_PRECISION, "
         "DYNAMIC_QUANTIZATION_GROUP_SIZE, INFERENCE_NUM_THREADS, ENABLE_CPU_PINNING, PERFORMANCE_HINT, EXECUTION_MODE_HINT, NUM_STREAMS "
         "and CACHE_DIR",
         name);
}

/// Whether most weights are integers. Such models lose more to 8-bit activations than an 8-bit cache adds; others keep a cache of f16.
bool has_integer_weights(const Graph& graph) {
  constexpr size_t kSmall = 4096;  // elements: norms, tables of angles
  size_t integers = 0, all = 0;
  for (const Node* node : graph.of_type("Constant")) {
    size_t count = element_count(node->constant().shape());
    if (count < kSmall) continue;
    all += count;
    if (is_integer(node->constant().type()) && bit_width(node->constant().type()) <= 8) integers += count;
  }
  return 2 * integers > all;
}

}  // namespace

CpuOptions read_cpu_properties(const Properties& properties, const Graph& graph) {
  CpuOptions options;
  options.precision.isa = selected_isa();
  options.precision.bf16 = options.precision.isa == Isa::avx512bf16;
  options.precision.kv = has_integer_weights(graph) ? KvPrecision::u8 : KvPrecision::f16;
  options.cache.model_name = graph.name();
  if (const RtInfo* runtime = graph.rt_info().find("runtime_options"))
    for (const char* name : {"KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE"})
      if (const RtInfo* option = runtime->find(name); option && option->is_leaf && !option->value.empty())
        apply(name, option->value, options);
  if (auto mode = properties.find("EXECUTION_MODE_HINT"); mode != properties.end() && mode->second == "ACCURACY")
    be_accurate(options.precision);
  for (const auto& [name, value] : properties) apply(name, value, options);
  return options;
}

}  // namespace nibble::cpu
