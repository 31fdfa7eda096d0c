#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// What calibration text a name stands for.
struct DatasetFile {
  std::string name;                           ///< for messages
  std::optional<std::filesystem::path> path;  ///< nothing: the built-in text
};

/// The built-in text: prose, code, dialogue, mathematics and other languages.
std::string_view builtin_calibration_text();

/// "auto" is the built-in text. What is a file's path is that file; any other name (wikitext2, c4, ...) is looked for as NAME.txt and
/// NAME.jsonl in the directory that the environment variable NIBBLE_DATASETS names and in nibble/datasets of the user's cache.
/// Throws Error{not_found} that says where it looked.
DatasetFile find_dataset(const std::string& dataset);

/// Where find_dataset() looks for names, first to last.
std::vector<std::filesystem::path> dataset_directories();

/// How many tokens a sample of a dataset has unless told: as in optimum-intel 32 for wikitext2, c4, c4-new and ptb, 256 for gsm8k; 128
/// otherwise.
size_t default_sample_length(std::string_view dataset);

}  // namespace nibble
