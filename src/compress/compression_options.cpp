#include "compress/compression_options.hpp"

#include <fmt/ranges.h>

#include "base/fail.hpp"

namespace nibble {

namespace {

bool asks_for_method(const WeightCompression& options) {
  return options.awq.value_or(false) || options.scale_estimation.value_or(false) || options.gptq.value_or(false) ||
         options.lora_correction.value_or(false);
}

void check_int8(const WeightCompression& options, bool has_data) {
  auto name = to_string(options.mode);
  if (options.ratio.value_or(1) != 1 && options.ratio.value_or(1) != 0)
    fail(ErrorKind::invalid_argument, "{} compresses every layer: a ratio of {} needs a 4-bit mode", name, *options.ratio);
  if (options.group_size.value_or(-1) != -1 && *options.group_size != 0)
    fail(ErrorKind::invalid_argument, "{} has one scale per output channel: leave the group size {} out", name, *options.group_size);
  std::vector<std::string_view> meaningless;
  if (options.all_layers) meaningless.push_back("all_layers");
  if (options.sensitivity_metric) meaningless.push_back("sensitivity_metric");
  if (has_data) meaningless.push_back("dataset");
  if (options.awq) meaningless.push_back("awq");
  if (options.scale_estimation) meaningless.push_back("scale_estimation");
  if (options.gptq) meaningless.push_back("gptq");
  if (options.lora_correction) meaningless.push_back("lora_correction");
  if (options.backup) meaningless.push_back("backup_mode");
  if (!meaningless.empty()) fail(ErrorKind::invalid_argument, "{} has no use for {}: leave it out", name, fmt::join(meaningless, ", "));
}

void check_group_size(const WeightCompression& options) {
  const WeightFormat& format = weight_format(options.mode);
  int64_t size = options.group_size.value_or(format.default_group_size);
  if (size == 0 || size < -1) fail(ErrorKind::invalid_argument, "group size {}: give a positive number or -1", size);
  if (!format.group_size_is_fixed) return;
  if (size != format.default_group_size)
    fail(ErrorKind::invalid_argument, "{} has groups of {}, not of {}", format.name, format.default_group_size, size);
  if (options.group_size_fallback == GroupSizeFallbackMode::adjust)
    fail(ErrorKind::invalid_argument, "{} has groups of {} only: the group size fallback cannot be adjust", format.name, size);
}

void check_data(const WeightCompression& options, bool has_data) {
  std::vector<std::string_view> without;
  if (options.scale_estimation.value_or(false)) without.push_back("scale_estimation");
  if (options.gptq.value_or(false)) without.push_back("gptq");
  if (options.lora_correction.value_or(false)) without.push_back("lora_correction");
  if (options.mode == CompressWeightsMode::adaptive_codebook) without.push_back("mode adaptive_codebook");
  if (!has_data && !without.empty()) fail(ErrorKind::invalid_argument, "{} needs a dataset: give one", fmt::join(without, ", "));
}

void check_methods(const WeightCompression& options) {
  if (!asks_for_method(options)) return;
  const WeightFormat& format = weight_format(options.mode);
  if (format.family == QuantizerFamily::floating)
    fail(ErrorKind::invalid_argument, "mode {} takes none of awq, scale_estimation, gptq and lora_correction; leave them out", format.name);
  if (!options.lora_correction.value_or(false)) return;
  if (options.gptq.value_or(false)) fail(ErrorKind::invalid_argument, "gptq and lora_correction cannot be combined: choose one of them");
  if (is_codebook(options.mode))
    fail(ErrorKind::invalid_argument, "lora_correction takes the modes int4_sym, int4_asym, int3_sym, int2_sym and nf4, not {}",
         format.name);
}

void require_positive(std::string_view name, int64_t value) {
  if (value <= 0) fail(ErrorKind::invalid_argument, "{} is {}: give a positive number", name, value);
}

void check_parameters(const WeightCompression& options) {
  const AdvancedCompressionParameters& p = options.advanced;
  require_positive("subset_size", options.subset_size);
  require_positive("the subset_size of awq_params", p.awq_params.subset_size);
  require_positive("the steps of awq_params", p.awq_params.steps);
  require_positive("the subset_size of scale_estimation_params", p.scale_estimation_params.subset_size);
  require_positive("the subset_size of gptq_params", p.gptq_params.subset_size);
  require_positive("the block_size of gptq_params", p.gptq_params.block_size);
  require_positive("the subset_size of lora_correction_params", p.lora_correction_params.subset_size);
  require_positive("the adapter_rank of lora_correction_params", p.lora_correction_params.adapter_rank);
  require_positive("the num_iterations of lora_correction_params", p.lora_correction_params.num_iterations);
  if (!(p.gptq_params.damp_percent >= 0))
    fail(ErrorKind::invalid_argument, "the damp_percent of gptq_params is {}: give 0 or more", p.gptq_params.damp_percent);
  if (!(p.awq_params.percent_to_apply >= 0 && p.awq_params.percent_to_apply <= 1))
    fail(ErrorKind::invalid_argument, "the percent_to_apply of awq_params is {}: give a share from 0 to 1", p.awq_params.percent_to_apply);
  int64_t elements = p.adaptive_codebook_params.num_elements;
  if (elements < 2 || elements > 16)
    fail(ErrorKind::invalid_argument, "the num_elements of adaptive_codebook_params is {}: give 2 to 16", elements);
}

void check_selection(const WeightCompression& options, bool has_data) {
  double ratio = options.ratio.value_or(1);
  if (!(ratio >= 0 && ratio <= 1)) fail(ErrorKind::invalid_argument, "ratio {}: give a number from 0 to 1", ratio);
  auto metric = options.sensitivity_metric.value_or(SensitivityMetric::weight_quantization_error);
  if (!has_data && metric != SensitivityMetric::weight_quantization_error && options.ratio.value_or(0) != 0)
    fail(ErrorKind::invalid_argument, "the sensitivity metric {} needs a dataset; without one use {}", to_string(metric),
         to_string(SensitivityMetric::weight_quantization_error));
  if (options.mode == CompressWeightsMode::codebook && !options.codebook)
    fail(ErrorKind::invalid_argument, "mode codebook needs a codebook");
}

}  // namespace

CompressionPlan plan_compression(const WeightCompression& options, bool has_data) {
  if (is_int8(options.mode))
    check_int8(options, has_data);
  else
    check_group_size(options);
  check_data(options, has_data);
  check_methods(options);
  check_parameters(options);
  check_selection(options, has_data);
  const WeightFormat& format = weight_format(options.mode);
  double ratio = options.ratio.value_or(0);
  return {.mode = options.mode,
          .group_size = is_int8(options.mode) ? -1 : options.group_size.value_or(format.default_group_size),
          .ratio = ratio == 0 ? 1 : ratio,
          .ratio_given = ratio != 0,
          .all_layers = options.all_layers.value_or(false),
          .backup = options.backup.value_or(format.default_backup),
          .sensitivity_metric = options.sensitivity_metric.value_or(has_data ? SensitivityMetric::max_activation_variance
                                                                             : SensitivityMetric::weight_quantization_error),
          .group_size_fallback = options.group_size_fallback,
          .min_adjusted_group_size = options.min_adjusted_group_size,
          .awq = options.awq.value_or(false),
          .scale_estimation = options.scale_estimation.value_or(false),
          .gptq = options.gptq.value_or(false),
          .lora_correction = options.lora_correction.value_or(false),
          .has_data = has_data,
          .subset_size = static_cast<size_t>(options.subset_size),
          .advanced = options.advanced};
}

}  // namespace nibble
