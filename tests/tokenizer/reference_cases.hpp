#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace nibble::test {

/// How many checks of each kind passed, and the first failures in words.
struct Tally {
  struct Count {
    int passed = 0, failed = 0;
  };
  std::map<std::string, Count> counts;
  std::vector<std::string> failures;

  void check(const std::string& kind, bool passed, const std::string& what);
  int failed() const;
  std::string summary() const;
};

/// The directory of the reference cases that come with the tests.
std::filesystem::path reference_directory();

/// The tokenizer in `directory` against its cases.jsonl and decode.jsonl: ids with and without special tokens, offsets, decoded
/// text, streamed text.
Tally check_style(const std::filesystem::path& directory);
/// The same of the tokenizer at `path`.
Tally check_tokenizer(const std::filesystem::path& path, const std::filesystem::path& directory_of_cases);

/// <name>.json against <name>.cases.jsonl: one part of a tokenizer in isolation.
Tally check_piece(const std::filesystem::path& tokenizer_file);

}  // namespace nibble::test
