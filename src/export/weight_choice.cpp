#include "export/weight_choice.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/fail.hpp"
#include "compress/weight_compression.hpp"
#include "export/default_quantization.hpp"
#include "export/recipes.hpp"

namespace nibble {

namespace {

/// Options that mean nothing without a format. The fallback of the group size is not one of them: its default is not "none".
bool has_compression_options(const WeightOptions& o) {
  bool selects = o.sym || o.group_size || o.ratio || o.all_layers || !o.backup_precision.empty() || !o.sensitivity_metric.empty();
  bool uses_data = !o.dataset.empty() || o.num_samples || o.seqlen;
  return selects || uses_data || o.budget_gb || o.max_kl || o.awq || o.scale_estimation || o.gptq || o.lora_correction;
}

template <class T>
T parsed(std::optional<T> value, std::string_view option, const std::string& text, std::string_view allowed) {
  if (!value) fail(ErrorKind::invalid_argument, "{} \"{}\" is not known (known: {})", option, text, allowed);
  return *value;
}

CompressWeightsMode mode_of(const std::string& format, bool sym) {
  if (format == "int8") return sym ? CompressWeightsMode::int8_sym : CompressWeightsMode::int8_asym;
  if (format == "int4") return sym ? CompressWeightsMode::int4_sym : CompressWeightsMode::int4_asym;
  auto mode = parse_compress_weights_mode(format == "mxfp8" || format == "fp8" ? format + "_e4m3" : format);
  return parsed(mode, "weight format", format, "fp32, fp16, int8, int4, nf4, mxfp4, mxfp8, fp8, fp4, nvfp4, cb4");
}

void check_int8(const WeightOptions& o) {
  if (o.group_size.value_or(-1) != -1 || o.ratio.value_or(1.0) != 1.0 || o.all_layers || !o.backup_precision.empty())
    fail(ErrorKind::invalid_argument,
         "weight format int8 is per channel for all layers: it takes no group size, ratio, all-layers or backup precision");
}

/// Of methods: what is not asked for is left open.
std::optional<bool> if_set(bool value) { return value ? std::optional(true) : std::nullopt; }

WeightCompression compression_of(const WeightOptions& o) {
  WeightCompression c;
  c.mode = mode_of(*o.weight_format, o.sym);
  if (is_int8(c.mode)) check_int8(o);
  if (o.group_size && !is_int8(c.mode)) c.group_size = *o.group_size;
  if (!is_int8(c.mode)) c.ratio = o.ratio.value_or(1.0);
  if (o.all_layers) c.all_layers = true;
  c.group_size_fallback =
      parsed(parse_group_size_fallback_mode(o.group_size_fallback), "group size fallback", o.group_size_fallback, "error, ignore, adjust");
  if (!o.backup_precision.empty())
    c.backup = parsed(parse_backup_mode(o.backup_precision), "backup precision", o.backup_precision, "none, int8_sym, int8_asym");
  if (!o.sensitivity_metric.empty())
    c.sensitivity_metric = parsed(parse_sensitivity_metric(o.sensitivity_metric), "sensitivity metric", o.sensitivity_metric,
                                  "weight_quantization_error, hessian_input_activation, mean_activation_variance, max_activation_variance, "
                                  "mean_activation_magnitude");
  c.awq = if_set(o.awq);
  c.scale_estimation = if_set(o.scale_estimation);
  c.gptq = if_set(o.gptq);
  c.lora_correction = if_set(o.lora_correction);
  return c;
}

std::optional<size_t> positive(std::optional<int64_t> value, std::string_view option) {
  if (!value) return std::nullopt;
  if (*value <= 0) fail(ErrorKind::invalid_argument, "{} {}: give a positive number", option, *value);
  return static_cast<size_t>(*value);
}

CalibrationRequest request_of(const WeightOptions& o) {
  CalibrationRequest request;
  request.dataset = o.dataset;
  request.num_samples = positive(o.num_samples, "num-samples");
  request.length = positive(o.seqlen, "seqlen");
  request.in_f32 = o.gptq;
  return request;
}

bool looks_at_data(const WeightCompression& c) {
  bool ranks = c.ratio.value_or(1) != 1 && c.ratio.value_or(0) != 0 &&
               c.sensitivity_metric.value_or(SensitivityMetric::max_activation_variance) != SensitivityMetric::weight_quantization_error;
  return !is_int8(c.mode) && (c.awq.value_or(false) || c.scale_estimation.value_or(false) || c.gptq.value_or(false) ||
                              c.lora_correction.value_or(false) || ranks);
}

void require_data(const WeightCompression& c) {
  const std::pair<std::string_view, bool> methods[] = {{"scale-estimation", c.scale_estimation.value_or(false)},
                                                       {"gptq", c.gptq.value_or(false)},
                                                       {"lora-correction", c.lora_correction.value_or(false)}};
  for (auto [name, is_on] : methods)
    if (is_on)
      fail(ErrorKind::invalid_argument, "{} looks at data: add a dataset (\"auto\" is a text that comes with Nibble, or give a file)",
           name);
}

void add_data(const WeightOptions& o, WeightChoice& choice) {
  WeightCompression& first = choice.passes.front();
  bool has_data = !o.dataset.empty();
  if (!has_data && (o.num_samples || o.seqlen))
    fail(ErrorKind::invalid_argument, "num-samples and seqlen are of a dataset: add one (\"auto\", a file, or a name)");
  if (has_data && looks_at_data(first)) {
    choice.data = request_of(o);
    if (o.num_samples) first.subset_size = *o.num_samples;
  } else if (has_data) {
    choice.warnings.push_back(
        "the dataset is not used: only awq, scale-estimation, gptq, lora-correction and a ratio below 1 look at data");
  } else if (!is_int8(first.mode)) {
    require_data(first);
  }
}

void check_search(const WeightOptions& o) {
  const char* option = o.budget_gb ? "budget-gb" : "max-kl";
  if (o.budget_gb && o.max_kl)
    fail(ErrorKind::invalid_argument, "budget-gb and max-kl exclude each other: the one sets the size, the other the loss");
  double value = o.budget_gb ? *o.budget_gb : *o.max_kl;
  if (!std::isfinite(value) || value < 0 || (o.budget_gb && value == 0))
    fail(ErrorKind::invalid_argument, "{} {}: give a positive number", option, value);
  if (o.ratio || o.all_layers || !o.sensitivity_metric.empty())
    fail(ErrorKind::invalid_argument,
         "{} chooses the precision of every weight by measurement: leave out ratio, all-layers and sensitivity-metric", option);
  if (o.lora_correction)
    fail(ErrorKind::invalid_argument, "{} does not go with lora-correction, whose adapters are not counted when precisions are chosen",
         option);
}

SearchRequest search_of(const WeightOptions& o) {
  SearchRequest search;
  constexpr double kMostGb = 1e9;
  if (o.budget_gb) search.budget_bytes = static_cast<uint64_t>(std::min(*o.budget_gb, kMostGb) * 1e9);
  search.max_kl = o.max_kl;
  bool is_sym = o.backup_precision.empty() ? o.sym : o.backup_precision == "int8_sym";
  search.int8 = is_sym ? CompressWeightsMode::int8_sym : CompressWeightsMode::int8_asym;
  search.floats = o.backup_precision.empty() || o.backup_precision == "none";
  search.data = request_of(o);
  if (search.data.dataset.empty()) search.data.dataset = "auto";
  return search;
}

std::string describe(const WeightCompression& options, bool has_data) {
  CompressionPlan plan = plan_compression(options, has_data);
  std::string text(to_string(plan.mode));
  if (plan.group_size > 0) text += fmt::format(", group size {}", plan.group_size);
  if (plan.ratio < 1) text += fmt::format(", ratio {}", plan.ratio);
  for (auto [name, is_on] : {std::pair("awq", plan.awq), std::pair("scale estimation", plan.scale_estimation), std::pair("gptq", plan.gptq),
                             std::pair("lora correction", plan.lora_correction)})
    if (is_on) text += fmt::format(", {}", name);
  return text;
}

/// Precisions from the format's on. Methods and the search look at the same data.
WeightChoice searched(const WeightOptions& options) {
  check_search(options);
  WeightChoice choice;
  WeightOptions pass = options;
  pass.backup_precision.clear();
  choice.passes.push_back(compression_of(pass));
  choice.search = search_of(options);
  const WeightCompression& lowest = choice.passes.front();
  choice.search->methods_take_data = looks_at_data(lowest);
  choice.data = choice.search->data;
  choice.description = fmt::format("{} and finer by measurement", describe(lowest, choice.search->methods_take_data));
  return choice;
}

WeightChoice compressed(const WeightOptions& options) {
  if (options.budget_gb || options.max_kl) return searched(options);
  WeightChoice choice;
  choice.passes.push_back(compression_of(options));
  add_data(options, choice);
  if (options.sym && options.weight_format != "int8" && options.weight_format != "int4")
    choice.warnings.push_back(
        fmt::format("sym says nothing for weight format {}: only int8 and int4 have both kinds", *options.weight_format));
  choice.description = describe(choice.passes.front(), choice.data.has_value());
  return choice;
}

WeightChoice default_choice(const DefaultQuantization& entry) {
  WeightChoice choice = compressed(default_options(entry));
  if (choice.data) choice.data->or_builtin = true;
  if (!entry.int8_patterns.empty()) {
    choice.passes.front().ignored_scope.patterns = entry.int8_patterns;
    choice.passes.push_back({.mode = CompressWeightsMode::int8_asym});
    choice.description += ", int8_asym outside experts";
  }
  choice.notes.push_back(
      fmt::format("the default for {}: {}; any option of the compression replaces it", entry.model_id, choice.description));
  return choice;
}

}  // namespace

WeightChoice choose_weights(const WeightOptions& options, std::span<const std::string> model_ids) {
  WeightChoice choice;
  if (!options.weight_format) {
    if (has_compression_options(options))
      fail(ErrorKind::invalid_argument, "compression options need a weight format: add --weight-format int4 or int8");
    return choice;
  }
  const std::string& name = *options.weight_format;
  if (name == "fp32" || name == "fp16") {
    if (has_compression_options(options)) fail(ErrorKind::invalid_argument, "weight format {} takes no compression options", name);
    choice.floats = name == "fp32" ? FloatFormat::f32 : FloatFormat::f16;
    choice.description = name;
    return choice;
  }
  const DefaultQuantization* entry = name == "int4" && !has_compression_options(options) ? find_default_quantization(model_ids) : nullptr;
  return entry ? default_choice(*entry) : compressed(options);
}

WeightChoice choose_by_recipe(const WeightOptions& options, const Graph& graph) {
  Recipe recipe = recipe_for(options, graph);
  WeightChoice choice = compressed(recipe.options);
  choice.notes.push_back(fmt::format("for {}: {} ({})", options.target, recipe.equivalent, fmt::join(recipe.reasons, "; ")));
  return choice;
}

namespace {

/// Weights of the checkpoint only: the rotary frequencies are a candidate of the compression too.
void count(const CompressionReport& report, bool is_last, CompressionSummary& summary) {
  for (const WeightReport& weight : report.weights) {
    if (weight.config) ++summary.layers[std::string(to_string(weight.config->mode))];
    if (!weight.config && is_last && weight.name.starts_with("self.")) ++summary.layers["float"];
    if (!weight.config && !is_last) continue;
    summary.elements += weight.elements;
    summary.bytes += weight.bytes;
  }
}

}  // namespace

CompressionSummary apply_choice(Graph& graph, const WeightChoice& choice, const CompressionTools& tools, Context& context,
                                Progress* progress) {
  for (const std::string& note : choice.notes) context.log(LogLevel::info, note);
  for (const std::string& warning : choice.warnings) context.log(LogLevel::warning, warning);
  CompressionSummary summary;
  if (choice.search) {
    count(tools.search(graph, choice, summary.search.emplace(), context, progress), true, summary);
    return summary;
  }
  std::unique_ptr<Calibration> data = choice.data ? tools.calibration(*choice.data, context, progress) : nullptr;
  for (const WeightCompression& pass : choice.passes) {
    bool is_first = &pass == &choice.passes.front(), is_last = &pass == &choice.passes.back();
    count(compress_weights(graph, pass, context, progress, is_first ? data.get() : nullptr), is_last, summary);
  }
  return summary;
}

}  // namespace nibble
