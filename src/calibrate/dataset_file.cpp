#include "calibrate/dataset_file.hpp"

#include <fmt/ranges.h>

#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/fail.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

std::optional<fs::path> environment(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return fs::path(value);
}

bool is_file(const fs::path& path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
}

/// A word, not a path.
bool is_name(const std::string& dataset) { return dataset.find('/') == std::string::npos && fs::path(dataset).extension().empty(); }

[[noreturn]] void fail_not_found(const std::string& name, const std::vector<std::string>& tried) {
  fail(ErrorKind::not_found,
       "dataset \"{}\": not on this machine (looked for {}). Put its text there, one sample or paragraph after the other, or give a file "
       "(.txt, "
       ".jsonl), or use \"auto\", the built-in text. Nibble downloads nothing",
       name, fmt::join(tried, ", "));
}

}  // namespace

std::vector<fs::path> dataset_directories() {
  std::vector<fs::path> directories;
  if (auto chosen = environment("NIBBLE_DATASETS")) directories.push_back(*chosen);
  if (auto cache = environment("XDG_CACHE_HOME"))
    directories.push_back(*cache / "nibble" / "datasets");
  else if (auto home = environment("HOME"))
    directories.push_back(*home / ".cache" / "nibble" / "datasets");
  return directories;
}

DatasetFile find_dataset(const std::string& dataset) {
  if (dataset == "auto") return {dataset, std::nullopt};
  if (dataset.empty()) fail(ErrorKind::invalid_argument, "the dataset has no name: give a file, a name or \"auto\"");
  if (is_file(dataset)) return {dataset, fs::path(dataset)};
  if (!is_name(dataset)) fail(ErrorKind::not_found, "dataset {}: there is no such file", dataset);
  std::vector<std::string> tried;
  for (const fs::path& directory : dataset_directories())
    for (const char* extension : {".txt", ".jsonl"}) {
      fs::path path = directory / (dataset + extension);
      if (is_file(path)) return {dataset, path};
      tried.push_back(path.string());
    }
  fail_not_found(dataset, tried);
}

size_t default_sample_length(std::string_view dataset) {
  for (std::string_view name : {"wikitext2", "c4", "c4-new", "ptb"})
    if (dataset == name) return 32;
  return dataset == "gsm8k" ? 256 : 128;
}

}  // namespace nibble
