#include "compress/compression_options.hpp"

#include <fmt/ranges.h>

#include "base/fail.hpp"

namespace nibble {

namespace {

void check_int8(const WeightCompression& options) {
  auto name = to_string(options.mode);
  if (options.ratio.value_or(1) != 1 && options.ratio.value_or(1) != 0)
    fail(ErrorKind::invalid_argument, "{} compresses every layer: a ratio of {} needs a 4-bit mode", name, *options.ratio);
  if (options.group_size.value_or(-1) != -1 && *options.group_size != 0)
    fail(ErrorKind::invalid_argument, "{} has one scale per output channel: leave the group size {} out", name, *options.group_size);
  std::vector<std::string_view> meaningless;
  if (options.all_layers) meaningless.push_back("all_layers");
  if (options.sensitivity_metric) meaningless.push_back("sensitivity_metric");
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

void check_selection(const WeightCompression& options) {
  double ratio = options.ratio.value_or(1);
  if (!(ratio >= 0 && ratio <= 1)) fail(ErrorKind::invalid_argument, "ratio {}: give a number from 0 to 1", ratio);
  auto metric = options.sensitivity_metric.value_or(SensitivityMetric::weight_quantization_error);
  if (metric != SensitivityMetric::weight_quantization_error && options.ratio.value_or(0) != 0)
    fail(ErrorKind::invalid_argument, "the sensitivity metric {} needs a dataset; without one use {}", to_string(metric),
         to_string(SensitivityMetric::weight_quantization_error));
  if (options.mode == CompressWeightsMode::codebook && !options.codebook)
    fail(ErrorKind::invalid_argument, "mode codebook needs a codebook");
}

}  // namespace

CompressionPlan plan_compression(const WeightCompression& options) {
  if (is_int8(options.mode))
    check_int8(options);
  else
    check_group_size(options);
  check_selection(options);
  const WeightFormat& format = weight_format(options.mode);
  double ratio = options.ratio.value_or(0);
  return {.mode = options.mode,
          .group_size = is_int8(options.mode) ? -1 : options.group_size.value_or(format.default_group_size),
          .ratio = ratio == 0 ? 1 : ratio,
          .ratio_given = ratio != 0,
          .all_layers = options.all_layers.value_or(false),
          .backup = options.backup.value_or(format.default_backup),
          .sensitivity_metric = options.sensitivity_metric.value_or(SensitivityMetric::weight_quantization_error),
          .group_size_fallback = options.group_size_fallback,
          .min_adjusted_group_size = options.min_adjusted_group_size};
}

}  // namespace nibble
