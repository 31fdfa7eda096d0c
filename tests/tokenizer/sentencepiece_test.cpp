#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "temporary_directory.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int64_t>;

/// A directory that has the sentencepiece model of a style, and its configuration if wanted, but no tokenizer.json.
class ModelDirectory : public TemporaryDirectory {
 public:
  ModelDirectory(const std::string& style, bool with_config) {
    const fs::path source = reference_directory() / style;
    fs::copy(source / "tokenizer.model", path() / "tokenizer.model");
    if (with_config) fs::copy(source / "tokenizer_config.json", path() / "tokenizer_config.json");
  }
};

std::vector<nlohmann::json> lines_of(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

/// True for texts in which a special token is spelled out: sentencepiece itself does not look for these.
bool spells_special_token(const Tokenizer& tokenizer, const Ids& ids) {
  return std::any_of(ids.begin(), ids.end(), [&](int64_t id) { return tokenizer.is_special(id); });
}

class SentencepieceStyles : public testing::TestWithParam<const char*> {};

TEST_P(SentencepieceStyles, GivesWhatTokenizerJsonGives) {
  const ModelDirectory directory(GetParam(), true);
  const Tokenizer tokenizer(directory.path());
  for (const auto& line : lines_of(reference_directory() / GetParam() / "cases.jsonl")) {
    if (line.contains("bytes")) continue;
    const std::string text = line.at("text");
    EXPECT_EQ(tokenizer.encode(text).ids, line.at("ids").get<Ids>()) << line.dump().substr(0, 200);
    EXPECT_EQ(tokenizer.decode(line.at("ids").get<Ids>()), line.at("decoded"));
  }
}
INSTANTIATE_TEST_SUITE_P(Reference, SentencepieceStyles, testing::Values("llama2", "llama2-nolegacy"),
                         [](const auto& style) { return std::string(style.param) == "llama2" ? "legacy" : "nolegacy"; });

TEST(SentencepieceModel, GivesTheIdsOfSentencepieceItself) {
  const ModelDirectory directory("llama2", true);
  const Tokenizer tokenizer(directory.path());
  int checked = 0;
  for (const auto& line : lines_of(reference_directory() / "llama2" / "cases_spm.jsonl")) {
    const std::string text = line.at("text");
    const Ids ids = tokenizer.encode(text, {.add_special_tokens = false}).ids;
    // U+2581 in a text is a space to sentencepiece's normalizer only.
    if (spells_special_token(tokenizer, ids)) continue;
    EXPECT_EQ(ids, line.at("ids").get<Ids>()) << line.dump().substr(0, 200);
    ++checked;
  }
  EXPECT_GT(checked, 200);
}

TEST(SentencepieceModel, WorksWithoutAnyConfiguration) {
  const ModelDirectory directory("llama2", false);
  const Tokenizer tokenizer(directory.path());
  EXPECT_EQ(tokenizer.bos_id(), 1);
  EXPECT_EQ(tokenizer.eos_id(), 2);
  EXPECT_EQ(tokenizer.unk_id(), 0);
  EXPECT_EQ(tokenizer.pad_id(), std::nullopt);
  EXPECT_TRUE(tokenizer.is_special(1));
  EXPECT_EQ(tokenizer.encode("a").ids.front(), 1);
  EXPECT_EQ(Tokenizer(directory.path() / "tokenizer.model").encode("a").ids, tokenizer.encode("a").ids);
}

TEST(SentencepieceModel, AddsEosWhereTheConfigurationAsks) {
  const ModelDirectory directory("llama2", false);
  directory.write("tokenizer_config.json", R"({"add_bos_token": false, "add_eos_token": true})");
  const Ids ids = Tokenizer(directory.path()).encode("a").ids;
  EXPECT_NE(ids.front(), 1);
  EXPECT_EQ(ids.back(), 2);
}

TEST(SentencepieceModel, CutShortIsCorrupt) {
  const ModelDirectory directory("llama2", false);
  std::filesystem::resize_file(directory.path() / "tokenizer.model", 1000);
  try {
    const Tokenizer tokenizer(directory.path());
    FAIL() << "a model cut short was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
  }
}

TEST(SentencepieceModel, WithALengthBeyondTheFileIsCorrupt) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.model", std::string("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7Fxx", 12));
  EXPECT_THROW(Tokenizer(directory.path()), Error);
}

/// As tokenization_chatglm.py numbers them.
TEST(Sentencepiece, ChatGlmHasTokensBehindThePieces) {
  TemporaryDirectory directory;
  fs::copy_file(reference_directory() / "llama2" / "tokenizer.model", directory.path() / "tokenizer.model");
  const Tokenizer plain(directory.path());
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "ChatGLMTokenizer"})");
  const Tokenizer tokenizer(directory.path());
  const auto pieces = static_cast<int64_t>(plain.vocab_size());
  EXPECT_EQ(tokenizer.token_to_id("[gMASK]"), pieces + 1);
  const auto ids = tokenizer.encode("<|user|>").ids;
  EXPECT_EQ(ids, (std::vector<int64_t>{pieces + 1, pieces + 3, pieces + 6}));
}

}  // namespace
}  // namespace nibble::test
