#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "temporary_directory.hpp"
#include "tokenizer/byte_level.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json read_json(const fs::path& path) { return json::parse(std::ifstream(path)); }

/// The files of `style` but tokenizer.json.
void copy_others(const fs::path& style, const fs::path& to) {
  for (const char* name :
       {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt"})
    if (fs::exists(style / name)) fs::copy_file(style / name, to / name);
}

void expect_reference(const fs::path& directory, const fs::path& cases) {
  const Tally tally = check_tokenizer(directory, cases);
  EXPECT_GT(tally.counts.at("ids").passed, 20);
  EXPECT_EQ(tally.failed(), 0) << tally.summary();
}

/// vocab.json and merges.txt as they were before they became a tokenizer.json.
void write_merges_vocabulary(const json& model, const TemporaryDirectory& to) {
  to.write("vocab.json", model.at("vocab").dump());
  std::string merges = "#version: 0.2\n";
  for (const json& merge : model.at("merges"))
    merges += merge.is_string() ? merge.get<std::string>() + "\n" : merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
  to.write("merges.txt", merges);
}

std::string name_of(const testing::TestParamInfo<const char*>& parameter) {
  const std::string name = parameter.param;
  return name.substr(0, name.find('-'));
}

class MergesVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(MergesVocabulary, GivesWhatItsTokenizerJsonGives) {
  const fs::path style = reference_directory() / GetParam();
  TemporaryDirectory directory;
  copy_others(style, directory.path());
  write_merges_vocabulary(read_json(style / "tokenizer.json").at("model"), directory);
  expect_reference(directory.path(), style);
}
INSTANTIATE_TEST_SUITE_P(Vocabularies, MergesVocabulary, testing::Values("gpt2", "qwen2"), name_of);

class PlainVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(PlainVocabulary, GivesWhatTransformersGives) {
  const fs::path style = reference_directory() / GetParam();
  expect_reference(style, style);
}
INSTANTIATE_TEST_SUITE_P(Vocabularies, PlainVocabulary, testing::Values("bert-vocabulary", "clip-vocabulary", "roberta-vocabulary"),
                         name_of);

/// Spelled-out special tokens get no spaces around them here, as they do in transformers' class for this one.
TEST(ByteVocabulary, GivesWhatTransformersGives) {
  const fs::path style = reference_directory() / "byt5";
  const Tally tally = check_tokenizer(style, style);
  EXPECT_GT(tally.counts.at("ids").passed, 100);
  for (const char* kind : {"ids", "ids_plain", "decoded", "stream joined"}) EXPECT_EQ(tally.counts.at(kind).failed, 0) << kind;
}

/// Ranks in tiktoken's format: the ids of the tokens, which were made in the order of the merges.
std::string ranks_of(const json& vocabulary) {
  std::string lines;
  for (const auto& [token, id] : vocabulary.items()) {
    std::string bytes;
    tokenizer::append_token_bytes(bytes, token);
    lines += encode_base64(bytes) + " " + std::to_string(id.get<int>()) + "\n";
  }
  return lines;
}

TEST(Ranks, GiveWhatTheMergesGive) {
  const fs::path style = reference_directory() / "qwen2";
  TemporaryDirectory directory;
  directory.write("qwen.tiktoken", ranks_of(read_json(style / "tokenizer.json").at("model").at("vocab")));
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "QWenTokenizer"})");
  const Tokenizer ranks(directory.path()), merges(style);
  for (const char* text : {"Hello world", "  def f(x):\n\treturn x ** 2\n", "12345 caf\xC3\xA9 cafe\xCC\x81",
                           "\xE4\xBD\xA0\xE5\xA5\xBD, <|im_start|>user\n"}) {
    EXPECT_EQ(ranks.encode(text).ids, merges.encode(text).ids) << text;
    EXPECT_EQ(ranks.decode(ranks.encode(text).ids, false), merges.decode(merges.encode(text).ids, false));
  }
  EXPECT_EQ(ranks.eos_token(), "<|endoftext|>");
  EXPECT_EQ(ranks.token_to_id("<|extra_204|>"), *ranks.token_to_id("<|endoftext|>") + 207);
}

TEST(Ranks, AreKnownByTheirContent) {
  TemporaryDirectory directory;
  directory.write("tokenizer.model", ranks_of(read_json(reference_directory() / "llama3" / "tokenizer.json").at("model").at("vocab")));
  const Tokenizer tokenizer(directory.path()), reference(reference_directory() / "llama3");
  for (const char* text : {"Hello world, 12345", "I'll  go\n\nnow"}) {
    const auto ids = tokenizer.encode(text).ids;
    EXPECT_EQ(std::vector<int64_t>(ids.begin() + 1, ids.end()), reference.encode(text, {.add_special_tokens = false}).ids);
    EXPECT_EQ(ids.front(), *tokenizer.token_to_id("<|begin_of_text|>"));
  }
}

std::string error_of(const fs::path& path) {
  try {
    Tokenizer tokenizer(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Vocabularies, SayWhatIsWrong) {
  TemporaryDirectory directory;
  directory.write("qwen.tiktoken", "SGk= 0\nno rank\n");
  EXPECT_NE(error_of(directory.path()).find("line 2"), std::string::npos) << error_of(directory.path());
  directory.write("qwen.tiktoken", "SGk 0\n");
  EXPECT_NE(error_of(directory.path()), "");
  fs::remove(directory.path() / "qwen.tiktoken");
  directory.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  directory.write("merges.txt", "a b\n");
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "FunnyTokenizer"})");
  EXPECT_NE(error_of(directory.path()).find("FunnyTokenizer"), std::string::npos);
  directory.write("tokenizer_config.json", "{}");
  EXPECT_EQ(error_of(directory.path()), "");
  directory.write("merges.txt", "a c\n");
  EXPECT_NE(error_of(directory.path()), "");
  directory.write("merges.txt", "\xff\xfe\n");
  EXPECT_NE(error_of(directory.path()).find("UTF-8"), std::string::npos);
}

/// All vocabularies of the full collection, where the folder that NIBBLE_FIXTURES names has it under tokenizers/.
TEST(AllVocabularies, GiveWhatTransformersGives) {
  const char* fixtures = std::getenv("NIBBLE_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "NIBBLE_FIXTURES is not set";
  for (const auto& entry : fs::directory_iterator(fs::path(fixtures) / "tokenizers")) {
    const fs::path& style = entry.path();
    const bool is_byt5 = style.filename() == "byt5";
    if (!is_byt5 && !fs::exists(style / "vocab.json") && !fs::exists(style / "vocab.txt")) continue;
    TemporaryDirectory directory;
    copy_others(style, directory.path());
    const Tally tally = check_tokenizer(directory.path(), style);
    std::cout << style.stem().string() << ": " << tally.summary() << "\n";
    // Some of the collection's tokenizer.json files go their own ways with what surrounds a text, and with offsets.
    for (const char* kind : {"ids_plain", "decoded", "stream joined"}) EXPECT_EQ(tally.counts.at(kind).failed, 0) << style << kind;
  }
}

}  // namespace
}  // namespace nibble::test
