#include "calibrate/dataset.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/utf8.hpp"
#include "expect_error.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;

namespace {

/// The tokenizer and chat template of the embedded model.
std::filesystem::path nib() { return std::string(NIBBLE_SOURCE_DIR) + "/models/nib"; }

class Dataset : public testing::Test {
 protected:
  DatasetFile file(const std::string& name, std::string_view text) {
    test::write_text(scratch_ / name, text);
    return find_dataset((scratch_ / name).string());
  }
  std::vector<std::vector<int64_t>> load(const DatasetFile& dataset, SampleOptions options = {}) {
    return load_samples(dataset, options, encoder_);
  }
  testing::AssertionResult refuses(const DatasetFile& dataset, ErrorKind kind, const std::vector<std::string>& parts) {
    return fails(kind, parts, [&] { load(dataset); });
  }

  test::ScratchDirectory scratch_;
  TextEncoder encoder_{nib()};
};

std::string prose(int sentences) {
  std::string text;
  for (int i = 0; i < sentences; ++i) text += "Sentence number " + std::to_string(i) + " is about the sea.\n\n";
  return text;
}

TEST_F(Dataset, BuiltInTextIsOfManyKindsAndEnoughForTheDefault) {
  EXPECT_TRUE(is_utf8(builtin_calibration_text()));
  auto samples = load(find_dataset("auto"));
  ASSERT_EQ(samples.size(), 128u);
  std::set<std::vector<int64_t>> distinct(samples.begin(), samples.end());
  EXPECT_EQ(distinct.size(), 128u);
  std::set<int64_t> tokens;
  for (const auto& sample : samples) {
    EXPECT_EQ(sample.size(), 128u);
    tokens.insert(sample.begin(), sample.end());
  }
  EXPECT_GT(tokens.size(), 500u);
}

TEST_F(Dataset, CutsATextInWindowsSpreadOverIt) {
  std::string text = prose(200);
  auto all = encoder_.encode(text);
  auto samples = load(file("a.txt", text), {.count = 5, .length = 20});
  ASSERT_EQ(samples.size(), 5u);
  EXPECT_TRUE(std::equal(samples[0].begin(), samples[0].end(), all.begin()));
  EXPECT_TRUE(std::equal(samples[4].begin(), samples[4].end(), all.end() - 20));
  EXPECT_NE(std::search(all.begin(), all.end(), samples[2].begin(), samples[2].end()), all.end());
}

TEST_F(Dataset, WindowsOfAShortTextOverlapButAreNotTheSame) {
  auto length = encoder_.encode(prose(4)).size();
  auto samples = load(file("a.txt", prose(4)), {.count = 1000, .length = length / 2});
  EXPECT_GE(samples.size(), 4u);
  EXPECT_LE(samples.size(), 6u);
}

TEST_F(Dataset, ReadsLinesOfTextMessagesAndIds) {
  auto samples = load(file("a.jsonl",
                           "{\"text\": \"The sea is cold.\"}\n\n"
                           "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}\n"
                           "{\"ids\": [5, 6, 7]}\n"),
                      {.count = 10, .length = 50});
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[0], encoder_.encode("The sea is cold."));
  EXPECT_EQ(samples[1], encoder_.encode_chat("[{\"role\": \"user\", \"content\": \"Hello\"}]"));
  EXPECT_GT(samples[1].size(), 1u);
  EXPECT_EQ(samples[2], (std::vector<int64_t>{5, 6, 7}));
}

TEST_F(Dataset, CutsLongLinesAndTakesNoMoreThanAskedFor) {
  std::string lines;
  for (int i = 0; i < 9; ++i) lines += "{\"ids\": [1, 2, 3, 4, 5, 6, 7, 8]}\n";
  auto samples = load(file("a.jsonl", lines), {.count = 4, .length = 3});
  EXPECT_EQ(samples, std::vector<std::vector<int64_t>>(4, {1, 2, 3}));
}

TEST_F(Dataset, IdsNeedNoTokenizer) {
  TextEncoder encoder(scratch_.path());
  EXPECT_EQ(load_samples(file("a.jsonl", "{\"ids\": [3]}"), {}, encoder).size(), 1u);
  EXPECT_TRUE(fails(ErrorKind::not_found, {"tokenizer"}, [&] { load_samples(file("b.jsonl", "{\"text\": \"x\"}"), {}, encoder); }));
}

TEST_F(Dataset, SaysWhatIsWrongAndWhere) {
  EXPECT_TRUE(refuses(file("short.txt", "Too short."), ErrorKind::invalid_argument, {"short.txt", "128", "more text"}));
  EXPECT_TRUE(refuses(file("empty.txt", ""), ErrorKind::invalid_argument, {"empty.txt"}));
  EXPECT_TRUE(refuses(file("latin.txt", "caf\xe9 au lait"), ErrorKind::corrupt, {"latin.txt", "byte 3"}));
  EXPECT_TRUE(refuses(file("empty.jsonl", "\n \n"), ErrorKind::invalid_argument, {"empty.jsonl", "no samples"}));
  EXPECT_TRUE(refuses(file("a.jsonl", "{\"ids\": [1]}\n{\"ids\": [1,"), ErrorKind::corrupt, {"line 2"}));
  EXPECT_TRUE(refuses(file("b.jsonl", "{\"prompt\": \"x\"}"), ErrorKind::corrupt, {"line 1", "messages"}));
  EXPECT_TRUE(refuses(file("c.jsonl", "{\"ids\": [1, -2]}"), ErrorKind::corrupt, {"line 1", "-2"}));
  EXPECT_TRUE(refuses(file("d.jsonl", "{\"ids\": []}"), ErrorKind::corrupt, {"line 1", "no tokens"}));
  EXPECT_TRUE(refuses(file("e.jsonl", "{\"text\": \"\xff\"}"), ErrorKind::corrupt, {"line 1", "UTF-8"}));
  EXPECT_TRUE(refuses(file("f.jsonl", "[1, 2]"), ErrorKind::corrupt, {"line 1"}));
  EXPECT_TRUE(refuses(file("g.jsonl", "{\"messages\": 5}"), ErrorKind::invalid_argument, {}));
}

TEST_F(Dataset, RefusesNoSamplesAndNoTokens) {
  auto dataset = file("a.txt", prose(100));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"samples"}, [&] { load(dataset, {.count = 0}); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"tokens"}, [&] { load(dataset, {.count = 1, .length = 0}); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"tokens"}, [&] { load(dataset, {.count = 1, .length = size_t{1} << 40}); }));
}

/// Sets an environment variable for a test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* before = ::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  ~Environment() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST_F(Dataset, NamesAreLookedForInDirectoriesOfDatasets) {
  Environment chosen("NIBBLE_DATASETS", scratch_.path().string()), cache("XDG_CACHE_HOME", (scratch_ / "cache").string());
  EXPECT_TRUE(fails(ErrorKind::not_found, {"wikitext2.txt", "wikitext2.jsonl", "cache/nibble/datasets", "auto"},
                    [] { find_dataset("wikitext2"); }));
  std::filesystem::create_directories(scratch_ / "cache/nibble/datasets");
  test::write_text(scratch_ / "cache/nibble/datasets/wikitext2.txt", "a");
  EXPECT_EQ(*find_dataset("wikitext2").path, scratch_ / "cache/nibble/datasets/wikitext2.txt");
  test::write_text(scratch_ / "wikitext2.jsonl", "a");
  EXPECT_EQ(*find_dataset("wikitext2").path, scratch_ / "wikitext2.jsonl");
}

TEST_F(Dataset, AMissingFileIsSaidToBeOne) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"no such file"}, [&] { find_dataset((scratch_ / "none.txt").string()); }));
  EXPECT_TRUE(fails(ErrorKind::not_found, {"none.jsonl", "no such file"}, [&] { find_dataset("none.jsonl"); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"auto"}, [&] { find_dataset(""); }));
}

TEST_F(Dataset, SamplesAreAsLongAsOptimumsUnlessTold) {
  EXPECT_EQ(default_sample_length("wikitext2"), 32u);
  EXPECT_EQ(default_sample_length("gsm8k"), 256u);
  EXPECT_EQ(default_sample_length("auto"), 128u);
  EXPECT_EQ(default_sample_length("mine.txt"), 128u);
}

}  // namespace
}  // namespace nibble
