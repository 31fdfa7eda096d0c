#include "export/model_config.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "checkpoint/gguf/gguf_architecture.hpp"

namespace nibble {

ModelConfig::ModelConfig(const std::filesystem::path& directory) {
  if (auto gguf = find_gguf(directory)) {
    json_ = gguf_config(GgufModel(*gguf));
    where_ = gguf->string();
    return;
  }
  auto path = directory / "config.json";
  if (!std::filesystem::exists(path))
    fail(ErrorKind::not_found, "{}: no config.json here; a Hugging Face model directory has one", directory.string());
  json_ = read_json_object(path);
  where_ = path.string();
}

void ModelConfig::note(std::string_view key) const {
  reads_->keys.insert(std::string(key));
  for (auto [original, end] = originals_.equal_range(key); original != end; ++original) reads_->keys.insert(original->second);
}

void ModelConfig::knows(std::initializer_list<const char*> keys) const {
  for (const char* key : keys) note(key);
}

const nlohmann::json* ModelConfig::find(std::string_view key) const {
  note(key);
  auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

void ModelConfig::wrong(std::string_view key, std::string_view expected) const {
  fail(ErrorKind::corrupt, "{}: \"{}\" should be {}, it is {}", where_, key, expected, json_.at(std::string(key)).dump().substr(0, 80));
}

bool ModelConfig::has(std::string_view key) const { return find(key) != nullptr; }

std::optional<int64_t> ModelConfig::optional_size(std::string_view key) const {
  const auto* value = find(key);
  if (!value) return std::nullopt;
  constexpr int64_t kLimit = int64_t{1} << 31;
  if (!value->is_number_integer() || value->get<int64_t>() < 1 || value->get<int64_t>() > kLimit) wrong(key, "a positive whole number");
  return value->get<int64_t>();
}

int64_t ModelConfig::size(std::string_view key, int64_t fallback) const { return optional_size(key).value_or(fallback); }

double ModelConfig::number(std::string_view key, double fallback) const {
  const auto* value = find(key);
  if (!value) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>())) wrong(key, "a number");
  return value->get<double>();
}

bool ModelConfig::flag(std::string_view key, bool fallback) const {
  const auto* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) wrong(key, "true or false");
  return value->get<bool>();
}

std::string ModelConfig::text(std::string_view key, std::string_view fallback) const {
  const auto* value = find(key);
  if (!value) return std::string(fallback);
  if (!value->is_string()) wrong(key, "a string");
  return value->get<std::string>();
}

std::vector<double> ModelConfig::numbers(std::string_view key) const {
  const auto* value = find(key);
  std::vector<double> numbers;
  if (!value) return numbers;
  if (!value->is_array()) wrong(key, "a list of numbers");
  for (const auto& entry : *value) {
    if (!entry.is_number()) wrong(key, "a list of numbers");
    numbers.push_back(entry.get<double>());
  }
  return numbers;
}

std::vector<std::string> ModelConfig::texts(std::string_view key) const {
  const auto* value = find(key);
  std::vector<std::string> texts;
  if (!value) return texts;
  if (!value->is_array()) wrong(key, "a list of strings");
  for (const auto& entry : *value) {
    if (!entry.is_string()) wrong(key, "a list of strings");
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

ModelConfig ModelConfig::renamed(std::initializer_list<std::pair<const char*, const char*>> keys) const {
  ModelConfig copy = *this;
  for (const auto& [from, to] : keys)
    if (auto found = json_.find(from); found != json_.end()) {
      copy.json_[to] = *found;
      copy.originals_.emplace(to, from);
    }
  return copy;
}

ModelConfig ModelConfig::changed(nlohmann::json json) const {
  ModelConfig copy = *this;
  copy.json_ = std::move(json);
  return copy;
}

ModelConfig ModelConfig::object(std::string_view key) const {
  const auto* value = find(key);
  std::string where = fmt::format("{}: {}", where_, key);
  if (!value) return {nlohmann::json::object(), where};
  if (!value->is_object()) wrong(key, "an object");
  ModelConfig object(*value, where);
  auto& reads = reads_->objects[std::string(key)];
  if (!reads) reads = object.reads_;
  object.reads_ = reads;
  return object;
}

void ModelConfig::add_unread(const nlohmann::json& json, const Reads& reads, const std::string& prefix,
                             std::vector<std::pair<std::string, nlohmann::json>>& out) {
  for (const auto& [key, value] : json.items()) {
    auto object = reads.objects.find(key);
    if (object != reads.objects.end() && value.is_object())
      add_unread(value, *object->second, prefix + key + ".", out);
    else if (!reads.keys.contains(key))
      out.emplace_back(prefix + key, value);
  }
}

std::vector<std::pair<std::string, nlohmann::json>> ModelConfig::unread() const {
  std::vector<std::pair<std::string, nlohmann::json>> out;
  add_unread(json_, *reads_, "", out);
  return out;
}

std::string ModelConfig::model_type() const {
  std::string type = text("model_type", "");
  if (!type.empty()) return type;
  auto architectures = texts("architectures");
  if (architectures.empty()) fail(ErrorKind::corrupt, "{}: neither \"model_type\" nor \"architectures\" says what model this is", where_);
  std::string name = architectures.front();
  name = name.substr(0, name.find("For"));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace nibble
