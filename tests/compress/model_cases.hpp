#pragma once

#include <fmt/format.h>

#include "compress/weight_compression.hpp"
#include "fixture.hpp"

// Cases of whole models: options as the reference took them, and what it made of the model.

namespace nibble::test {

inline IgnoredScope scope_of(const nlohmann::json& value) {
  IgnoredScope scope;
  scope.names = value.value("names", std::vector<std::string>{});
  scope.patterns = value.value("patterns", std::vector<std::string>{});
  scope.types = value.value("types", std::vector<std::string>{});
  scope.validate = value.value("validate", true);
  return scope;
}

inline WeightCompression options_of(const nlohmann::json& value) {
  WeightCompression options{.mode = parse_compress_weights_mode(value["mode"].get<std::string>()).value()};
  for (const auto& [key, entry] : value.items()) {
    if (key == "group_size") options.group_size = entry.get<int64_t>();
    if (key == "ratio") options.ratio = entry.get<double>();
    if (key == "all_layers") options.all_layers = entry.get<bool>();
    if (key == "backup_mode") options.backup = parse_backup_mode(entry.get<std::string>()).value();
    if (key == "sensitivity_metric") options.sensitivity_metric = parse_sensitivity_metric(entry.get<std::string>()).value();
    if (key == "ignored_scope") options.ignored_scope = scope_of(entry);
    if (key == "group_size_fallback_mode") options.group_size_fallback = parse_group_size_fallback_mode(entry.get<std::string>()).value();
    if (key == "min_adjusted_group_size") options.min_adjusted_group_size = entry.get<int64_t>();
    if (key == "awq") options.awq = entry.get<bool>();
    if (key == "scale_estimation") options.scale_estimation = entry.get<bool>();
    if (key == "gptq") options.gptq = entry.get<bool>();
    if (key == "lora_correction") options.lora_correction = entry.get<bool>();
  }
  return options;
}

inline std::string label(const WeightReport& weight) {
  return weight.config ? std::string(to_string(weight.config->mode)) + "/" + std::to_string(weight.config->group_size) : "float";
}

inline void check_assignment(const CompressionReport& report, const nlohmann::json& test, const nlohmann::json& weights) {
  std::map<std::string, std::string> expected, found;
  std::map<std::string, bool> defining, found_defining;
  for (const auto& [config, indices] : test["assigned"].items())
    for (size_t i : indices) expected[weights[i]["weight"]] = config, defining[weights[i]["weight"]] = false;
  for (size_t i : test["ratio_defining"]) defining[weights[i]["weight"]] = true;
  for (const auto& weight : report.weights) found[weight.name] = label(weight), found_defining[weight.name] = weight.ratio_defining;
  EXPECT_EQ(found, expected);
  EXPECT_EQ(found_defining, defining);
}

/// The XML of an rt_info element, white space left out.
inline std::string xml_text(const RtInfo& info) {
  if (info.is_leaf) return fmt::format("<{} value=\"{}\" />", info.name, info.value);
  std::string children;
  for (const auto& child : info.children) children += xml_text(child);
  return fmt::format("<{0}>{1}</{0}>", info.name, children);
}

inline std::string without_layout(const std::string& xml) {
  std::string text;
  for (char c : xml)
    if (c != '\n' && c != '\t') text += c;
  return text;
}

}  // namespace nibble::test
