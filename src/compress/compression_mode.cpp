#include "compress/compression_mode.hpp"

#include <array>
#include <utility>

namespace nibble {

namespace {

using Mode = CompressWeightsMode;
using Family = QuantizerFamily;
using Type = ElementType;

constexpr std::array kFormats{
    WeightFormat{Mode::int8_asym, "int8_asym", Family::asymmetric, Type::u8, Type::f16, 8, -1, true, BackupMode::int8_asym, 0},
    WeightFormat{Mode::int8_sym, "int8_sym", Family::symmetric, Type::i8, Type::f16, 8, -1, true, BackupMode::int8_asym, 0},
    WeightFormat{Mode::int4_asym, "int4_asym", Family::asymmetric, Type::u4, Type::f16, 4, 128, false, BackupMode::int8_asym, 0},
    WeightFormat{Mode::int4_sym, "int4_sym", Family::symmetric, Type::i4, Type::f16, 4, 128, false, BackupMode::int8_asym, 0},
    WeightFormat{Mode::int3_sym, "int3_sym", Family::symmetric, Type::u3, Type::f16, 3, 128, false, BackupMode::int8_asym, 0},
    WeightFormat{Mode::int2_sym, "int2_sym", Family::symmetric, Type::u2, Type::f16, 2, 128, false, BackupMode::int8_asym, 0},
    WeightFormat{Mode::nf4, "nf4", Family::levels, Type::nf4, Type::f16, 4, 128, false, BackupMode::int8_asym, 1},
    WeightFormat{Mode::mxfp4, "mxfp4", Family::floating, Type::f4e2m1, Type::f8e8m0, 4, 32, true, BackupMode::mxfp8_e4m3, 6},
    WeightFormat{Mode::mxfp8_e4m3, "mxfp8_e4m3", Family::floating, Type::f8e4m3, Type::f8e8m0, 8, 32, true, BackupMode::mxfp8_e4m3, 448},
    WeightFormat{Mode::fp4, "fp4", Family::floating, Type::f4e2m1, Type::f16, 4, 128, false, BackupMode::fp8_e4m3, 6},
    WeightFormat{Mode::fp8_e4m3, "fp8_e4m3", Family::floating, Type::f8e4m3, Type::f16, 8, 128, false, BackupMode::fp8_e4m3, 448},
    WeightFormat{Mode::nvfp4, "nvfp4", Family::floating, Type::f4e2m1, Type::f8e4m3, 4, 16, true, BackupMode::int8_asym, 6},
    WeightFormat{Mode::cb4, "cb4", Family::levels, Type::u4, Type::f16, 4, -1, false, BackupMode::int8_asym, 3.5f},
    WeightFormat{Mode::codebook, "codebook", Family::levels, Type::u8, Type::f16, 8, -1, false, BackupMode::int8_asym, 0},
    WeightFormat{Mode::adaptive_codebook, "adaptive_codebook", Family::levels, Type::u4, Type::f16, 4, -1, false, BackupMode::int8_asym, 0},
};

template <class Enum, size_t n>
using Names = std::array<std::pair<Enum, std::string_view>, n>;

constexpr Names<BackupMode, 5> kBackupNames{{{BackupMode::none, "none"},
                                             {BackupMode::int8_sym, "int8_sym"},
                                             {BackupMode::int8_asym, "int8_asym"},
                                             {BackupMode::mxfp8_e4m3, "mxfp8_e4m3"},
                                             {BackupMode::fp8_e4m3, "fp8_e4m3"}}};
constexpr Names<GroupSizeFallbackMode, 3> kFallbackNames{
    {{GroupSizeFallbackMode::error, "error"}, {GroupSizeFallbackMode::ignore, "ignore"}, {GroupSizeFallbackMode::adjust, "adjust"}}};
constexpr Names<SensitivityMetric, 5> kMetricNames{{{SensitivityMetric::weight_quantization_error, "weight_quantization_error"},
                                                    {SensitivityMetric::hessian_input_activation, "hessian_input_activation"},
                                                    {SensitivityMetric::mean_activation_variance, "mean_activation_variance"},
                                                    {SensitivityMetric::max_activation_variance, "max_activation_variance"},
                                                    {SensitivityMetric::mean_activation_magnitude, "mean_activation_magnitude"}}};

template <class Table>
std::string_view name_of(const Table& table, decltype(table[0].first) value) {
  for (const auto& [key, name] : table)
    if (key == value) return name;
  return {};
}

template <class Table>
auto value_of(const Table& table, std::string_view name) -> std::optional<std::remove_cv_t<decltype(table[0].first)>> {
  for (const auto& [key, text] : table)
    if (text == name) return key;
  return std::nullopt;
}

}  // namespace

const WeightFormat& weight_format(CompressWeightsMode mode) { return kFormats[static_cast<size_t>(mode)]; }

std::string_view to_string(CompressWeightsMode mode) { return weight_format(mode).name; }
std::string_view to_string(BackupMode mode) { return name_of(kBackupNames, mode); }
std::string_view to_string(GroupSizeFallbackMode mode) { return name_of(kFallbackNames, mode); }
std::string_view to_string(SensitivityMetric metric) { return name_of(kMetricNames, metric); }

std::optional<CompressWeightsMode> parse_compress_weights_mode(std::string_view name) {
  for (const WeightFormat& format : kFormats)
    if (format.name == name) return format.mode;
  return std::nullopt;
}
std::optional<BackupMode> parse_backup_mode(std::string_view name) { return value_of(kBackupNames, name); }
std::optional<GroupSizeFallbackMode> parse_group_size_fallback_mode(std::string_view name) { return value_of(kFallbackNames, name); }
std::optional<SensitivityMetric> parse_sensitivity_metric(std::string_view name) { return value_of(kMetricNames, name); }

}  // namespace nibble
