#include "checkpoint/adapter/adapter_config.hpp"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "base/mapped_file.hpp"
#include "checkpoint/adapter/module_pattern.hpp"

namespace nibble {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBytes = size_t{16} << 20;

/// The text is checked by parse_json first, which bounds its nesting; this one keeps the order of keys.
Json read_ordered(const std::filesystem::path& path) {
  std::string text = read_file(path, kMaxBytes);
  if (!parse_json(text, path.string()).is_object()) fail(ErrorKind::corrupt, "{}: expected a JSON object", path.string());
  return Json::parse(text);
}

const Json* find(const Json& json, const char* key) {
  auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

bool flag(const Json& json, const char* key, const std::string& where) {
  const Json* value = find(json, key);
  if (value && !value->is_boolean()) fail(ErrorKind::corrupt, "{}: \"{}\" should be true or false", where, key);
  return value && value->get<bool>();
}

double positive(const Json& value, std::string_view key, const std::string& where) {
  double number = value.is_number() ? value.get<double>() : 0;
  if (!(number > 0 && number < 1e9)) fail(ErrorKind::corrupt, "{}: \"{}\" should be a positive number", where, key);
  return number;
}

std::vector<std::pair<std::string, double>> patterns(const Json& json, const char* key, const std::string& where) {
  std::vector<std::pair<std::string, double>> found;
  const Json* value = find(json, key);
  if (!value) return found;
  if (!value->is_object()) fail(ErrorKind::corrupt, "{}: \"{}\" should be an object", where, key);
  for (const auto& [pattern, number] : value->items()) found.emplace_back(pattern, positive(number, pattern, where));
  return found;
}

/// What changes more than weights, or other weights than the adapter holds.
void refuse_variants(const Json& json, const std::string& where) {
  constexpr std::array kUnknown{"layer_replication",
                                "use_qalora",
                                "trainable_token_indices",
                                "target_parameters",
                                "alora_invocation_tokens",
                                "arrow_config",
                                "lora_bias",
                                "use_bdlora",
                                "kasa_config",
                                "monteclora_config",
                                "velora_config"};
  for (const char* key : kUnknown) {
    const Json* value = find(json, key);
    bool is_set = value && !(value->is_boolean() && !value->get<bool>()) && !(value->is_structured() && value->empty());
    if (is_set) fail(ErrorKind::unsupported, "{}: \"{}\" is not supported; merge the adapter with PEFT and export the result", where, key);
  }
}

/// Some ways to begin change the model's weights too, and the adapter alone does not tell how.
void refuse_changed_base(const Json& json, const std::string& where) {
  const Json* value = find(json, "init_lora_weights");
  if (!value || !value->is_string()) return;
  std::string how = value->get<std::string>();
  for (char& c : how) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* known : {"gaussian", "eva", "orthogonal", "true", "false"})
    if (how == known) return;
  fail(ErrorKind::unsupported,
       "{}: adapters that began with \"{}\" belong to weights that it changed; convert the adapter to plain LoRA with PEFT, or merge it "
       "there",
       where, value->get<std::string>());
}

double first_fitting(const std::vector<std::pair<std::string, double>>& patterns, const std::string& module, double fallback,
                     const std::string& where) {
  for (const auto& [pattern, number] : patterns)
    if (ModulePattern(pattern, where).fits(module)) return number;
  return fallback;
}

}  // namespace

AdapterConfig::AdapterConfig(const std::filesystem::path& directory) {
  auto path = directory / "adapter_config.json";
  where_ = path.string();
  if (!std::filesystem::exists(path))
    fail(ErrorKind::not_found, "{}: no adapter_config.json here; a PEFT adapter's directory has one", directory.string());
  Json json = read_ordered(path);
  const Json* type = find(json, "peft_type");
  if (!type || !type->is_string()) fail(ErrorKind::corrupt, "{}: \"peft_type\" is missing", where_);
  if (type->get<std::string>() != "LORA")
    fail(ErrorKind::unsupported, "{}: adapters of type \"{}\" cannot be merged (supported: LORA)", where_, type->get<std::string>());
  refuse_variants(json, where_);
  refuse_changed_base(json, where_);
  if (const Json* rank = find(json, "r")) rank_ = positive(*rank, "r", where_);
  if (const Json* alpha = find(json, "lora_alpha")) alpha_ = positive(*alpha, "lora_alpha", where_);
  ranks_ = patterns(json, "rank_pattern", where_);
  alphas_ = patterns(json, "alpha_pattern", where_);
  has_root_scale_ = flag(json, "use_rslora", where_);
  is_dora_ = flag(json, "use_dora", where_);
  is_fan_in_fan_out_ = flag(json, "fan_in_fan_out", where_);
}

int64_t AdapterConfig::rank(const std::string& module) const { return static_cast<int64_t>(first_fitting(ranks_, module, rank_, where_)); }

float AdapterConfig::scale(const std::string& module) const {
  auto rank = static_cast<double>(this->rank(module));
  return static_cast<float>(first_fitting(alphas_, module, alpha_, where_) / (has_root_scale_ ? std::sqrt(rank) : rank));
}

}  // namespace nibble
