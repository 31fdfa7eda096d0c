#include "tokenizer/vocabularies/plain_files.hpp"

#include "base/fail.hpp"
#include "base/json.hpp"

namespace nibble::tokenizer {
namespace {

using json = nlohmann::json;

constexpr size_t kFileLimit = 64 << 20;

json read_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) ? read_json_object(path, kFileLimit) : json::object();
}

std::optional<std::string> spelling(const json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (token.is_object() && token.contains("content") && token["content"].is_string()) return token["content"].get<std::string>();
  return std::nullopt;
}

struct ModelClass {
  std::string_view model_type, tokenizer_class;
};
/// Where tokenizer_config.json is silent, transformers goes by the model (AutoTokenizer's table).
constexpr ModelClass kModelClasses[] = {
    {"bart", "BartTokenizer"},       {"bert", "BertTokenizer"},       {"byt5", "ByT5Tokenizer"},       {"chatglm", "ChatGLMTokenizer"},
    {"clip", "CLIPTokenizer"},       {"codegen", "CodeGenTokenizer"}, {"deberta", "DebertaTokenizer"}, {"distilbert", "BertTokenizer"},
    {"electra", "BertTokenizer"},    {"gpt2", "GPT2Tokenizer"},       {"gptj", "GPT2Tokenizer"},       {"gpt_bigcode", "GPT2Tokenizer"},
    {"gpt_neo", "GPT2Tokenizer"},    {"opt", "GPT2Tokenizer"},        {"phi", "CodeGenTokenizer"},     {"qwen", "QWenTokenizer"},
    {"qwen2", "Qwen2Tokenizer"},     {"qwen2_moe", "Qwen2Tokenizer"}, {"qwen3", "Qwen2Tokenizer"},     {"qwen3_moe", "Qwen2Tokenizer"},
    {"roberta", "RobertaTokenizer"}, {"starcoder2", "GPT2Tokenizer"}, {"stablelm", "GPT2Tokenizer"},   {"whisper", "WhisperTokenizer"},
};

std::string class_of(const json& config, const json& model) {
  std::string name;
  if (auto found = config.find("tokenizer_class"); found != config.end() && found->is_string()) name = found->get<std::string>();
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (!name.empty()) return name;
  const auto type = model.find("model_type");
  for (const ModelClass& entry : kModelClasses)
    if (type != model.end() && *type == entry.model_type) return std::string(entry.tokenizer_class);
  return "";
}

}  // namespace

PlainFiles::PlainFiles(const std::filesystem::path& directory)
    : directory_(directory),
      config_(read_if_there(directory / "special_tokens_map.json")),
      added_(read_if_there(directory / "added_tokens.json")) {
  config_.update(read_if_there(directory / "tokenizer_config.json"));
  class_ = class_of(config_, read_if_there(directory / "config.json"));
}

std::optional<bool> PlainFiles::optional_flag(const char* key) const {
  const auto found = config_.find(key);
  if (found == config_.end() || found->is_null()) return std::nullopt;
  if (!found->is_boolean())
    fail(ErrorKind::corrupt, "{}: \"{}\" must be true or false", (directory_ / "tokenizer_config.json").string(), key);
  return found->get<bool>();
}

bool PlainFiles::flag(const char* key, bool fallback) const { return optional_flag(key).value_or(fallback); }

std::string PlainFiles::token(const char* key, std::string_view fallback) const {
  const auto found = config_.find(key);
  return found == config_.end() ? std::string(fallback) : spelling(*found).value_or(std::string(fallback));
}

std::vector<std::string> PlainFiles::additional_tokens() const {
  std::vector<std::string> tokens;
  const auto found = config_.find("additional_special_tokens");
  if (found == config_.end() || !found->is_array()) return tokens;
  for (const json& token : *found)
    if (auto text = spelling(token)) tokens.push_back(*text);
  return tokens;
}

std::vector<std::pair<std::string, uint32_t>> PlainFiles::added_tokens() const {
  std::vector<std::pair<std::string, uint32_t>> tokens;
  for (const auto& [text, id] : added_.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > Vocabulary::kMaxId)
      fail(ErrorKind::corrupt, "{}: \"{}\" has no token id", (directory_ / "added_tokens.json").string(), text);
    tokens.emplace_back(text, id.get<uint32_t>());
  }
  for (const AddedToken& token : read_tokenizer_config(directory_).added_tokens) tokens.emplace_back(token.content, token.id);
  return tokens;
}

}  // namespace nibble::tokenizer
