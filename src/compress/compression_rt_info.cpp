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

std::string python(const AwqParameters& p) {
  return fmt::format(
      "{{'subset_size': {}, 'percent_to_apply': {}, 'alpha_min': {}, 'alpha_max': {}, 'steps': {}, 'prefer_data_aware_scaling': {}}}",
      p.subset_size, python(p.percent_to_apply), python(p.alpha_min), python(p.alpha_max), p.steps, python(p.prefer_data_aware_scaling));
}

std::string python(const ScaleEstimationParameters& p) {
  return fmt::format("{{'subset_size': {}, 'initial_steps': {}, 'scale_steps': {}, 'weight_penalty': {}}}", p.subset_size, p.initial_steps,
                     p.scale_steps, python(p.weight_penalty));
}

std::string python(const GptqParameters& p) {
  return fmt::format("{{'damp_percent': {}, 'block_size': {}, 'subset_size': {}}}", python(p.damp_percent), p.block_size, p.subset_size);
}

std::string python(const LoraCorrectionParameters& p) {
  return fmt::format("{{'adapter_rank': {}, 'num_iterations': {}, 'apply_regularization': {}, 'subset_size': {}, 'use_int8_adapters': {}}}",
                     p.adapter_rank, p.num_iterations, python(p.apply_regularization), p.subset_size, python(p.use_int8_adapters));
}

/// NNCF's AdvancedCompressionParameters.
std::string advanced_parameters(const WeightCompression& options) {
  const AdvancedCompressionParameters& p = options.advanced;
  std::string codebook = options.mode == CompressWeightsMode::codebook ? fmt::format("{}", to_floats(options.codebook)) : "None";
  return fmt::format(
      "{{'statistics_path': None, 'lora_adapter_rank': 256, 'group_size_fallback_mode': '{}', 'min_adjusted_group_size': {}, "
      "'awq_params': {}, 'scale_estimation_params': {}, 'gptq_params': {}, 'lora_correction_params': {}, 'backend_params': {{}}, "
      "'codebook': {}, 'adaptive_codebook_params': {{'value_type': 'f8e4m3', 'across_blocks': False, 'num_elements': {}}}}}",
      to_string(options.group_size_fallback), options.min_adjusted_group_size, python(p.awq_params), python(p.scale_estimation_params),
      python(p.gptq_params), python(p.lora_correction_params), codebook, p.adaptive_codebook_params.num_elements);
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
  entry.set("awq", python(plan.awq));
  entry.set("backup_mode", std::string(to_string(plan.backup)));
  entry.set("compression_format", "dequantize");
  entry.set("gptq", python(plan.gptq));
  entry.set("group_size", std::to_string(plan.group_size));
  write_ignored_scope(entry, options.ignored_scope);
  entry.set("lora_correction", python(plan.lora_correction));
  entry.set("mode", std::string(to_string(plan.mode)));
  entry.set("ratio", plan.ratio_given ? python(plan.ratio) : "1");
  entry.set("scale_estimation", python(plan.scale_estimation));
  entry.set("sensitivity_metric", std::string(to_string(plan.sensitivity_metric)));
}

}  // namespace nibble
