#include <algorithm>
#include <fstream>

#include "base/fail.hpp"
#include "checkpoint/gguf/gguf_model.hpp"

namespace nibble {

namespace fs = std::filesystem;

namespace {

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool has_magic(const fs::path& path) {
  char magic[4] = {};
  std::ifstream stream(path, std::ios::binary);
  return stream.read(magic, sizeof magic) && std::string_view(magic, sizeof magic) == "GGUF";
}

/// Files that make a directory something else than the home of a GGUF file.
bool holds_other_model(const fs::path& directory) {
  for (const char* name : {"openvino_model.xml", "openvino_language_model.xml", "model.safetensors", "model.safetensors.index.json",
                           "pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (is_file(directory / name)) return true;
  return false;
}

bool is_first_part_or_whole(const std::string& name) {
  size_t of = name.rfind("-of-");
  return of == std::string::npos || of < 6 || name.substr(of - 6, 6) == "-00001" || name[of - 6] != '-';
}

std::vector<fs::path> models_in(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    std::string name = it->path().filename().string();
    if (it->path().extension() == ".gguf" && !name.starts_with("mmproj") && is_first_part_or_whole(name)) found.push_back(it->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::optional<fs::path> find_gguf(const fs::path& path) {
  if (is_file(path)) return path.extension() == ".gguf" || has_magic(path) ? std::optional(path) : std::nullopt;
  if (holds_other_model(path)) return std::nullopt;
  auto found = models_in(path);
  if (found.empty()) return std::nullopt;
  if (found.size() > 1)
    fail(ErrorKind::invalid_argument, "{}: {} GGUF files are here, among them {}: give the path of one of them", path.string(),
         found.size(), found.front().filename().string());
  return found.front();
}

std::optional<fs::path> gguf_directory(const fs::path& gguf) {
  fs::path directory = gguf.has_parent_path() ? gguf.parent_path() : ".";
  return !holds_other_model(directory) && models_in(directory).size() == 1 ? std::optional(directory) : std::nullopt;
}

}  // namespace nibble
