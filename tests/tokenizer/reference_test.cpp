#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "nibble/error.hpp"
#include "reference_cases.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> style_directories(const fs::path& root) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (fs::exists(entry.path() / "cases.jsonl") && fs::exists(entry.path() / "tokenizer.json")) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> piece_files(const fs::path& root) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(root)) {
    fs::path cases = entry.path();
    if (entry.path().extension() == ".json" && fs::exists(cases.replace_extension(".cases.jsonl"))) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string name_of(const testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

class Styles : public testing::TestWithParam<fs::path> {};

TEST_P(Styles, GiveWhatTransformersGives) {
  const Tally tally = check_style(GetParam());
  EXPECT_GT(tally.counts.at("ids").passed, 20);
  EXPECT_EQ(tally.failed(), 0) << tally.summary();
}
INSTANTIATE_TEST_SUITE_P(Reference, Styles, testing::ValuesIn(style_directories(reference_directory())), name_of);

class Pieces : public testing::TestWithParam<fs::path> {};

TEST_P(Pieces, GiveWhatTokenizersGives) {
  const Tally tally = check_piece(GetParam());
  EXPECT_FALSE(tally.counts.empty());
  EXPECT_EQ(tally.failed(), 0) << tally.summary();
}
INSTANTIATE_TEST_SUITE_P(Reference, Pieces, testing::ValuesIn(piece_files(reference_directory() / "pieces")), name_of);

/// The full collection of reference cases, where the folder that NIBBLE_FIXTURES names has it under tokenizers/.
TEST(AllReferenceCases, Pass) {
  const char* fixtures = std::getenv("NIBBLE_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "NIBBLE_FIXTURES is not set";
  const fs::path root = fs::path(fixtures) / "tokenizers";
  const auto run = [](const fs::path& path, Tally (*check)(const fs::path&)) {
    try {
      const Tally tally = check(path);
      std::cout << path.stem().string() << ": " << tally.summary() << "\n";
      EXPECT_EQ(tally.failed(), 0) << path;
    } catch (const Error& error) {
      ADD_FAILURE() << path << ": " << error.what();
    }
  };
  for (const fs::path& directory : style_directories(root)) run(directory, check_style);
  for (const fs::path& file : piece_files(root / "pieces")) run(file, check_piece);
}

}  // namespace
}  // namespace nibble::test
