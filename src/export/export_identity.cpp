#include "export/export_identity.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/hash.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

/// Files that weights or their shapes come from.
bool matters(const fs::path& file) {
  constexpr std::array<std::string_view, 6> kExtensions{".safetensors", ".bin", ".pt", ".pth", ".gguf", ".json"};
  return std::find(kExtensions.begin(), kExtensions.end(), file.extension().string()) != kExtensions.end();
}

nlohmann::json about(const fs::path& file) {
  std::error_code ignored;
  auto modified = fs::last_write_time(file, ignored).time_since_epoch().count();
  return {file.filename().string(), fs::file_size(file, ignored), modified};
}

/// Of a file its directory: a model in parts names one of them.
nlohmann::json files_of(const fs::path& model) {
  std::error_code ignored;
  fs::path directory = fs::is_directory(model, ignored) ? model : model.has_parent_path() ? model.parent_path() : ".";
  std::vector<fs::path> files;
  for (fs::directory_iterator it(directory, ignored), end; it != end; it.increment(ignored))
    if (fs::is_regular_file(it->path(), ignored) && matters(it->path())) files.push_back(it->path());
  std::sort(files.begin(), files.end());
  nlohmann::json all = nlohmann::json::array();
  for (const fs::path& file : files) all.push_back(about(file));
  return all;
}

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

std::string text_of(const ExportOptions& o) {
  return nlohmann::json{{"task", o.task},
                        {"family", o.family},
                        {"target", o.target},
                        {"weight_format", or_null(o.weight_format)},
                        {"sym", o.sym},
                        {"group_size", or_null(o.group_size)},
                        {"group_size_fallback", o.group_size_fallback},
                        {"ratio", or_null(o.ratio)},
                        {"all_layers", o.all_layers},
                        {"backup_precision", o.backup_precision},
                        {"sensitivity_metric", o.sensitivity_metric},
                        {"awq", o.awq},
                        {"model_id", o.model_id}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string hash_of(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return to_hex(hash128(std::as_bytes(std::span(text.data(), text.size()))));
}

}  // namespace

WriteIdentity export_identity(const fs::path& model, const ExportOptions& options) {
  nlohmann::json adapters = nlohmann::json::array();
  for (const fs::path& adapter : options.adapters) adapters.push_back({adapter.string(), files_of(adapter)});
  return {{"another version of Nibble", NIBBLE_VERSION},
          {"other options", text_of(options)},
          {"other files of the checkpoint", hash_of(files_of(model))},
          {"other adapters", hash_of(adapters)}};
}

}  // namespace nibble
