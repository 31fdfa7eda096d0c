#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "temporary_directory.hpp"

namespace nibble::test {
namespace {

/// A tokenizer of letters, with a configuration of one's own.
class Letters : public TemporaryDirectory {
 public:
  explicit Letters(std::string_view config = "") {
    write("tokenizer.json", R"({"added_tokens": [{"id": 3, "content": "<s>", "special": true, "normalized": false}],
      "pre_tokenizer": null, "decoder": {"type": "Fuse"},
      "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, " ": 4, ".": 5}, "merges": ["a b"]}})");
    if (!config.empty()) write("tokenizer_config.json", config);
  }
};

ErrorKind kind_of_load_failure(const std::filesystem::path& path) {
  try {
    const Tokenizer tokenizer(path);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << path << " was accepted";
  return ErrorKind::cancelled;
}

TEST(TokenizerFiles, MissingDirectoryIsNotFound) { EXPECT_EQ(kind_of_load_failure("/nowhere/at/all"), ErrorKind::not_found); }

TEST(TokenizerFiles, DirectoryWithoutATokenizerIsNotFound) {
  const TemporaryDirectory directory;
  EXPECT_EQ(kind_of_load_failure(directory.path()), ErrorKind::not_found);
}

TEST(TokenizerFiles, WrongTypesAreCorruptAndNamed) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": "0"}, "merges": []}})");
  try {
    const Tokenizer tokenizer(directory.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.what(), testing::HasSubstr("tokenizer.json: /model/vocab"));
  }
}

TEST(TokenizerFiles, HugeIdsAreCorrupt) {
  for (const char* id : {"1000000000000000000", "-1", "4294967295", "1e18"}) {
    const TemporaryDirectory directory;
    directory.write("tokenizer.json", std::string(R"({"model": {"type": "BPE", "vocab": {"a": )") + id + R"(}, "merges": []}})");
    EXPECT_EQ(kind_of_load_failure(directory.path()), ErrorKind::corrupt) << id;
  }
}

TEST(TokenizerFiles, MergesOfUnknownTokensAreCorrupt) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}})");
  EXPECT_EQ(kind_of_load_failure(directory.path()), ErrorKind::corrupt);
}

TEST(TokenizerFiles, UnknownPartsAreUnsupported) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"normalizer": {"type": "Sorcery"}, "model": {"type": "WordLevel", "vocab": {}}})");
  EXPECT_EQ(kind_of_load_failure(directory.path()), ErrorKind::unsupported);
}

TEST(TokenizerFiles, DeepNestingIsUnsupported) {
  std::string normalizer = R"({"type": "NFC"})";
  for (int i = 0; i < 5000; ++i) normalizer = R"({"type": "Sequence", "normalizers": [)" + normalizer + "]}";
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"normalizer": )" + normalizer + R"(, "model": {"type": "WordLevel", "vocab": {}}})");
  EXPECT_EQ(kind_of_load_failure(directory.path()), ErrorKind::unsupported);
}

/// Twenty steps that double every a.
std::string doubling_steps() {
  std::string steps;
  for (int i = 0; i < 20; ++i)
    steps += std::string(i == 0 ? "" : ", ") + R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  return steps;
}

ErrorKind kind_of_failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::cancelled;
}

TEST(TokenizerFiles, NormalizersThatMultiplyAreStopped) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"normalizer": {"type": "Sequence", "normalizers": [)" + doubling_steps() +
                                        R"(]}, "model": {"type": "WordLevel", "vocab": {"<unk>": 0}}})");
  const Tokenizer tokenizer(directory.path());
  EXPECT_EQ(kind_of_failure([&] { tokenizer.encode("aaa", {.offsets = true}); }), ErrorKind::exhausted);
}

TEST(TokenizerFiles, DecodersThatMultiplyAreStopped) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", R"({"decoder": {"type": "Sequence", "decoders": [)" + doubling_steps() +
                                        R"(]}, "model": {"type": "WordLevel", "vocab": {"a": 0}}})");
  const Tokenizer tokenizer(directory.path());
  EXPECT_EQ(kind_of_failure([&] { tokenizer.decode(std::vector<int64_t>{0}); }), ErrorKind::exhausted);
}

TEST(TokenizerFiles, OverlongPathIsNotFound) { EXPECT_EQ(kind_of_load_failure(std::string(5000, 'x')), ErrorKind::not_found); }

TEST(TokenizerConfig, NamesTheSpecialTokens) {
  const Letters letters(R"({"bos_token": {"content": "<s>"}, "eos_token": "b", "pad_token": null})");
  letters.write("special_tokens_map.json", R"({"pad_token": "a", "unk_token": "ab"})");
  const Tokenizer tokenizer(letters.path());
  EXPECT_EQ(tokenizer.bos_token(), "<s>");
  EXPECT_EQ(tokenizer.bos_id(), 3);
  EXPECT_EQ(tokenizer.eos_id(), 1);
  EXPECT_EQ(tokenizer.pad_id(), std::nullopt) << "null in tokenizer_config.json counts";
  EXPECT_EQ(tokenizer.unk_id(), 2) << "special_tokens_map.json fills the gaps";
}

TEST(TokenizerConfig, TokensOfTheConfigurationAreAdded) {
  const Letters letters(R"({"added_tokens_decoder": {"9": {"content": "<x>", "special": true}}})");
  const Tokenizer tokenizer(letters.path());
  EXPECT_THAT(tokenizer.encode("a<x>b").ids, testing::ElementsAre(0, 9, 1));
  EXPECT_TRUE(tokenizer.is_special(9));
  EXPECT_EQ(tokenizer.vocab_size(), 7u);
}

TEST(TokenizerConfig, ChatTemplateIsAString) {
  EXPECT_EQ(Tokenizer(Letters().path()).chat_template(), std::nullopt);
  EXPECT_EQ(Tokenizer(Letters(R"({"chat_template": "{{ x }}"})").path()).chat_template(), "{{ x }}");
}

TEST(TokenizerConfig, ChatTemplateIsAListOfNamedOnes) {
  const Letters letters(R"({"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]})");
  const Tokenizer tokenizer(letters.path());
  EXPECT_EQ(tokenizer.chat_template(), "D");
  EXPECT_EQ(tokenizer.chat_template("tool_use"), "T");
  EXPECT_EQ(tokenizer.chat_template("rag"), std::nullopt);
}

TEST(TokenizerConfig, ModelMaxLength) {
  EXPECT_EQ(Tokenizer(Letters(R"({"model_max_length": 131072})").path()).model_max_length(), 131072u);
  EXPECT_EQ(Tokenizer(Letters(R"({"model_max_length": 1000000000000000019884624838656})").path()).model_max_length(), std::nullopt);
}

TEST(TokenizerConfig, CleansUpSpacesWhenAsked) {
  const std::vector<int64_t> ids{0, 4, 5};
  EXPECT_EQ(Tokenizer(Letters().path()).decode(ids), "a .");
  EXPECT_EQ(Tokenizer(Letters(R"({"clean_up_tokenization_spaces": true})").path()).decode(ids), "a.");
}

TEST(Tokenizer, SkipsIdsOutsideTheVocabulary) {
  const Tokenizer tokenizer(Letters().path());
  EXPECT_EQ(tokenizer.decode(std::vector<int64_t>{0, -1, 77, int64_t{1} << 40, 1}), "ab");
  EXPECT_EQ(tokenizer.id_to_token(77), "");
}

TEST(Tokenizer, DecodesSpecialTokensOnlyWhenAsked) {
  const Tokenizer tokenizer(Letters().path());
  EXPECT_EQ(tokenizer.decode(std::vector<int64_t>{3, 2}), "ab");
  EXPECT_EQ(tokenizer.decode(std::vector<int64_t>{3, 2}, false), "<s>ab");
}

TEST(Tokenizer, CopiesShareAndOutliveTheOriginal) {
  auto tokenizer = std::make_unique<Tokenizer>(Letters().path());
  const Tokenizer copy = *tokenizer;
  tokenizer.reset();
  EXPECT_THAT(copy.encode("ab").ids, testing::ElementsAre(2));
}

}  // namespace
}  // namespace nibble::test
