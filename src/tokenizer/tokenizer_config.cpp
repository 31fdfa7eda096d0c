#include "tokenizer/tokenizer_config.hpp"

#include <algorithm>
#include <charconv>

namespace nibble::tokenizer {
namespace {

constexpr size_t kConfigLimit = 64 << 20;
constexpr double kLargestLength = 1e15;  // transformers writes 1e30 for "none"

bool is_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

/// A special token is its spelling, or an object with it.
std::optional<std::string> read_token(const JsonView& view) {
  if (view.raw().is_null()) return std::nullopt;
  if (view.raw().is_object()) return view.at("content").string();
  return view.string();
}

struct SpecialToken {
  const char* name;
  std::optional<std::string> TokenizerConfig::*member;
};
constexpr SpecialToken kSpecialTokens[] = {{"bos_token", &TokenizerConfig::bos_token},
                                           {"eos_token", &TokenizerConfig::eos_token},
                                           {"pad_token", &TokenizerConfig::pad_token},
                                           {"unk_token", &TokenizerConfig::unk_token}};

void read_chat_templates(const JsonView& view, TokenizerConfig& config) {
  if (view.raw().is_string()) {
    config.chat_templates["default"] = view.string();
    return;
  }
  for (const JsonView& entry : view.elements()) config.chat_templates[entry.at("name").string()] = entry.at("template").string();
}

void read_added_tokens(const JsonView& view, TokenizerConfig& config) {
  for (const auto& [key, entry] : view.members()) {
    AddedToken token = read_added_token(entry);
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token.id);
    if (error != std::errc() || end != key.data() + key.size() || token.id > Vocabulary::kMaxId)
      entry.reject("has a key that is no token id");
    config.added_tokens.push_back(std::move(token));
  }
  std::sort(config.added_tokens.begin(), config.added_tokens.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

void read_config(const JsonView& view, TokenizerConfig& config) {
  for (const SpecialToken& token : kSpecialTokens) {
    if (view.has(token.name)) config.*token.member = read_token(view.at(token.name));
  }
  const auto flag = [&](const char* key) { return view.has(key) ? std::optional(view.at(key).boolean()) : std::nullopt; };
  config.add_bos_token = flag("add_bos_token");
  config.add_eos_token = flag("add_eos_token");
  config.add_prefix_space = flag("add_prefix_space");
  config.legacy = view.boolean_or("legacy", true);
  config.clean_up_tokenization_spaces = view.boolean_or("clean_up_tokenization_spaces", false);
  config.tokenizer_class = view.string_or("tokenizer_class", "");
  if (const auto length = view.find("model_max_length"); length && length->number() >= 1 && length->number() < kLargestLength) {
    config.model_max_length = static_cast<size_t>(length->number());
  }
  config.padding_side = view.string_or("padding_side", "");
  config.truncation_side = view.string_or("truncation_side", "");
  if (const auto names = view.find("model_input_names")) {
    for (const JsonView& name : names->elements()) config.model_input_names.push_back(name.string());
  }
  if (const auto templates = view.find("chat_template")) read_chat_templates(*templates, config);
  if (const auto tokens = view.find("added_tokens_decoder")) read_added_tokens(*tokens, config);
}

}  // namespace

TokenizerConfig read_tokenizer_config(const nlohmann::json& document, const std::string& place) {
  TokenizerConfig config;
  read_config(JsonView(document, place), config);
  return config;
}

TokenizerConfig read_tokenizer_config(const std::filesystem::path& directory) {
  TokenizerConfig config;
  nlohmann::json document = nlohmann::json::object();
  const auto config_path = directory / "tokenizer_config.json", map_path = directory / "special_tokens_map.json";
  if (is_file(config_path)) {
    document = parse_json_file(config_path, kConfigLimit);
    read_config(JsonView(document, config_path), config);
  }
  if (is_file(map_path)) {
    const nlohmann::json map = parse_json_file(map_path, kConfigLimit);
    const JsonView view(map, map_path);
    for (const SpecialToken& token : kSpecialTokens) {
      if (view.has(token.name) && !document.contains(token.name)) config.*token.member = read_token(view.at(token.name));
    }
  }
  return config;
}

}  // namespace nibble::tokenizer
