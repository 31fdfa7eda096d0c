#include "compress/compression_rt_info.hpp"

#include <fmt/ranges.h>

#include "tensor/convert.hpp"

namespace nibble {

namespace {

// Values are printed the way Python prints them, because NNCF stores str() of its parameters.
std::string python(bool value) { return value ? "True" : "False"; }

std::string python(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string python(const std::string& text) {
  char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (char c : text) {
    if (c == quote || c == '\\') out += '\\';
    out += c;
  }
  return out + quote;
}

std::string python(const std::vector<std::string>& list) {
  std::vector<std::string> items;
  for (const auto& text : list) items.push_back(python(text));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

/// NNCF's parameters for methods that need data, with the two that matter here.
std::string advanced_parameters(const WeightCompression& options) {
  std::string codebook = options.mode == CompressWeightsMode::codebook ? fmt::format("{}", to_floats(options.codebook)) : "None";
  return fmt::format(
      "{{'statistics_path': None, 'lora_adapter_rank': 256, 'group_size_fallback_mode': '{}', 'min_adjusted_group_size': {}, "
      "'awq_params': {{'subset_size': 32, 'percent_to_apply': 0.002, 'alpha_min': 0.0, 'alpha_max': 1.0, 'steps': 100, "
      "'prefer_data_aware_scaling': True}}, "
      "'scale_estimation_params': {{'subset_size': 64, 'initial_steps': 5, 'scale_steps': 5, 'weight_penalty': -1.0}}, "
      "'gptq_params': {{'damp_percent': 0.1, 'block_size': 128, 'subset_size': 128}}, "
      "'lora_correction_params': {{'adapter_rank': 8, 'num_iterations': 3, 'apply_regularization': True, 'subset_size': 128, "
      "'use_int8_adapters': True}}, 'backend_params': {{}}, 'codebook': {}, "
      "'adaptive_codebook_params': {{'value_type': 'f8e4m3', 'across_blocks': False, 'num_elements': 16}}}}",
      to_string(options.group_size_fallback), options.min_adjusted_group_size, codebook);
}

void write_ignored_scope(RtInfo& parent, const IgnoredScope& scope) {
  if (scope.empty()) return parent.set("ignored_scope", "[]");
  RtInfo& entry = parent.child("ignored_scope");
  if (!scope.names.empty()) entry.set("names", python(scope.names));
  if (!scope.patterns.empty()) entry.set("patterns", python(scope.patterns));
  if (!scope.types.empty()) entry.set("types", python(scope.types));
}

}  // namespace

void write_compression_rt_info(RtInfo& model, const WeightCompression& options, const CompressionPlan& plan) {
  RtInfo& nncf = model.child("nncf");
  nncf.set("friendly_names_were_updated", "True");
  nncf.set("version", "3.4.0");
  RtInfo& entry = nncf.child("weight_compression");
  entry = RtInfo{};
  entry.name = "weight_compression";
  entry.set("advanced_parameters", advanced_parameters(options));
  entry.set("all_layers", python(plan.all_layers));
  entry.set("awq", python(false));
  entry.set("backup_mode", std::string(to_string(plan.backup)));
  entry.set("compression_format", "dequantize");
  entry.set("gptq", python(false));
  entry.set("group_size", std::to_string(plan.group_size));
  write_ignored_scope(entry, options.ignored_scope);
  entry.set("lora_correction", python(false));
  entry.set("mode", std::string(to_string(plan.mode)));
  entry.set("ratio", plan.ratio_given ? python(plan.ratio) : "1");
  entry.set("scale_estimation", python(false));
  entry.set("sensitivity_metric", std::string(to_string(plan.sensitivity_metric)));
}

}  // namespace nibble
