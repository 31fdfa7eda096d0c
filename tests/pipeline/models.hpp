#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "nibble/context.hpp"
#include "nibble/device.hpp"
#include "scratch_directory.hpp"

namespace nibble::test {

inline std::filesystem::path source_directory() { return NIBBLE_SOURCE_DIR; }
inline std::filesystem::path nib() { return source_directory() / "models/nib"; }
inline std::shared_ptr<Context> two_threads() { return std::make_shared<Context>(ContextOptions{.threads = 2, .log = {}}); }

/// Properties with which every device computes in float32, as the references did.
inline Properties exact() {
  return {{"INFERENCE_PRECISION_HINT", "f32"}, {"KV_CACHE_PRECISION", "f32"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"}};
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

/// What tests/pipeline/make_reference.py wrote.
inline nlohmann::json nib_reference() { return read_json(source_directory() / "tests/data/pipeline/nib.json"); }
inline std::string validation_text() { return file_text(nib() / "eval/validation.txt"); }

/// A directory with some of the files of models/nib.
class PartOfNib {
 public:
  explicit PartOfNib(const std::vector<std::string>& files) {
    for (const auto& file : files) std::filesystem::create_symlink(nib() / file, directory_ / file);
  }
  const std::filesystem::path& path() const { return directory_.path(); }

 private:
  ScratchDirectory directory_;
};

}  // namespace nibble::test
