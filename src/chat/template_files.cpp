#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "base/mapped_file.hpp"
#include "chat/jinja/template.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/gguf/gguf_tokenizer.hpp"
#include "nibble/chat.hpp"

namespace nibble {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr size_t kMaxConfigBytes = size_t{256} << 20;  // tokenizer_config.json may list very many added tokens

/// The template called `name` of an entry "chat_template": a text, or a list of {"name", "template"}.
std::optional<std::string> template_of(const json& entry, std::string_view name, const fs::path& path) {
  if (entry.is_null()) return std::nullopt;
  if (entry.is_string()) return name == "default" ? std::optional(entry.get<std::string>()) : std::nullopt;
  if (!entry.is_array()) fail(ErrorKind::corrupt, "{}: /chat_template is neither a text nor a list of templates", path.string());
  for (const json& item : entry) {
    if (!item.is_object() || !item.contains("name") || !item["name"].is_string() || !item.contains("template") ||
        !item["template"].is_string())
      fail(ErrorKind::corrupt, "{}: an entry of /chat_template has no name and template", path.string());
    if (item["name"].get<std::string>() == name) return item["template"].get<std::string>();
  }
  return std::nullopt;
}

std::optional<ChatTemplate> from_json_file(const fs::path& path, std::string_view name) {
  if (!fs::is_regular_file(path)) return std::nullopt;
  const json object = read_json_object(path, kMaxConfigBytes);
  const auto entry = object.find("chat_template");
  if (entry == object.end()) return std::nullopt;
  auto source = template_of(*entry, name, path);
  if (!source) return std::nullopt;
  return ChatTemplate(std::move(*source), path.string());
}

ChatTemplate from_jinja_file(const fs::path& path) { return ChatTemplate(read_file(path, jinja::Template::longest_source), path.string()); }

/// Names become parts of paths, so they must be plain ones.
bool is_plain_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == std::string_view::npos;
}

std::optional<ChatTemplate> from_directory(const fs::path& directory, std::string_view name) {
  const fs::path file = directory / "chat_template.jinja", others = directory / "additional_chat_templates";
  // Template files win over entries of any name in the configuration.
  if (fs::is_regular_file(file) || fs::is_directory(others)) {
    const fs::path wanted = name == "default" ? file : others / (std::string(name) + ".jinja");
    if (fs::is_regular_file(wanted)) return from_jinja_file(wanted);
    if (fs::is_regular_file(file)) return std::nullopt;
  }
  for (const char* config : {"chat_template.json", "tokenizer_config.json"})
    if (auto found = from_json_file(directory / config, name)) return found;
  return std::nullopt;
}

std::optional<ChatTemplate> from_gguf(const fs::path& path, std::string_view name) {
  const GgufFile file = open_gguf_file(path);
  auto templates = gguf_chat_templates(file.metadata);
  const auto found = templates.find(std::string(name));
  if (found == templates.end()) return std::nullopt;
  if (found->second.size() > jinja::Template::longest_source)
    fail(ErrorKind::corrupt, "{}: the chat template has {} bytes", path.string(), found->second.size());
  return ChatTemplate(std::move(found->second), path.string());
}

}  // namespace

std::optional<ChatTemplate> load_chat_template(const fs::path& directory, std::string_view name) {
  if (!is_plain_name(name)) fail(ErrorKind::invalid_argument, "'{}' is not a name of a chat template", name);
  std::error_code ignored;
  if (fs::is_directory(directory, ignored))
    if (auto found = from_directory(directory, name)) return found;
  const auto gguf = find_gguf(directory);
  return gguf ? from_gguf(*gguf, name) : std::nullopt;
}

}  // namespace nibble
