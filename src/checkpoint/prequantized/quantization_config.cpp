#include "checkpoint/prequantized/quantization_config.hpp"

#include "base/fail.hpp"
#include "base/json.hpp"

namespace nibble {

namespace fs = std::filesystem;

const nlohmann::json* QuantizationConfig::find(std::string_view key) const {
  auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void QuantizationConfig::wrong(std::string_view key, std::string_view expected) const {
  fail(ErrorKind::corrupt, "{}: \"{}\" should be {}, it is {}", where_, key, expected, json_.at(std::string(key)).dump().substr(0, 80));
}

std::string QuantizationConfig::method() const {
  std::string method = text("quant_method", "");
  if (!method.empty()) return method;
  if (find("load_in_4bit") || find("load_in_8bit")) return "bitsandbytes";
  if (find("producer")) return "modelopt";
  if (find("w_bit") || find("zero_point")) return "awq";
  if (find("bits")) return "gptq";
  fail(ErrorKind::corrupt, "{}: nothing says how the checkpoint is quantized: \"quant_method\" is missing", where_);
}

std::string QuantizationConfig::text(std::string_view key, std::string_view fallback) const {
  const auto* value = find(key);
  if (!value) return std::string(fallback);
  if (!value->is_string()) wrong(key, "a string");
  return value->get<std::string>();
}

bool QuantizationConfig::flag(std::string_view key, bool fallback) const {
  const auto* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) wrong(key, "true or false");
  return value->get<bool>();
}

int64_t QuantizationConfig::integer(std::string_view key, int64_t fallback) const {
  const auto* value = find(key);
  if (!value) return fallback;
  constexpr int64_t kLimit = int64_t{1} << 31;
  if (!value->is_number_integer() || value->get<int64_t>() < -1 || value->get<int64_t>() > kLimit) wrong(key, "a whole number");
  return value->get<int64_t>();
}

const nlohmann::json* QuantizationConfig::part(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return nullptr;
  if (!value->is_structured()) wrong(key, "an object or a list");
  return value->empty() ? nullptr : value;
}

std::optional<QuantizationConfig> read_quantization_config(const fs::path& directory) {
  std::error_code ignored;
  if (auto path = directory / "config.json"; fs::exists(path, ignored)) {
    nlohmann::json config = read_json_object(path);
    for (const char* key : {"quantization_config", "compression_config"}) {
      auto found = config.find(key);
      if (found == config.end() || found->is_null()) continue;
      std::string where = fmt::format("{}: {}", path.string(), key);
      if (!found->is_object()) fail(ErrorKind::corrupt, "{}: expected an object", where);
      return QuantizationConfig(*found, where, true);
    }
  }
  for (const char* name : {"quantize_config.json", "quant_config.json", "hf_quant_config.json"})
    if (auto path = directory / name; fs::exists(path, ignored)) return QuantizationConfig(read_json_object(path), path.string(), false);
  return std::nullopt;
}

}  // namespace nibble
