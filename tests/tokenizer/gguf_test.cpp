// Tokenizers in the metadata of GGUF files: the same cases as those they were made from (make_gguf_tokenizers.py).
#include <gtest/gtest.h>

#include <filesystem>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "scratch_directory.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;

class GgufStyles : public testing::TestWithParam<const char*> {};

TEST_P(GgufStyles, GiveWhatTransformersGives) {
  const fs::path root = reference_directory();
  const Tally tally = check_tokenizer(root / "gguf" / (std::string(GetParam()) + ".gguf"), root / GetParam());
  EXPECT_GT(tally.counts.at("ids").passed, 20);
  EXPECT_EQ(tally.failed(), 0) << tally.summary();
}
INSTANTIATE_TEST_SUITE_P(Reference, GgufStyles, testing::Values("gpt2", "llama2", "llama3", "qwen2"));

TEST(GgufTokenizer, TokenizerFilesOfItsDirectoryComeFirst) {
  const fs::path data = reference_directory();
  ScratchDirectory directory;
  fs::copy_file(data / "gguf/llama3.gguf", directory / "model.gguf");
  const std::vector<int64_t> of_file = Tokenizer(directory / "model.gguf").encode("one text").ids;
  EXPECT_EQ(Tokenizer(directory.path()).encode("one text").ids, of_file);
  fs::copy_file(data / "gpt2/tokenizer.json", directory / "tokenizer.json");
  const std::vector<int64_t> of_json = Tokenizer(data / "gpt2").encode("one text").ids;
  EXPECT_NE(of_json, of_file);
  EXPECT_EQ(Tokenizer(directory.path()).encode("one text").ids, of_json);
  EXPECT_EQ(Tokenizer(directory / "model.gguf").encode("one text").ids, of_json);
  fs::copy_file(data / "gguf/llama3.gguf", directory / "other.gguf");  // now the directory is no model's own
  EXPECT_EQ(Tokenizer(directory / "model.gguf").encode("one text").ids, of_file);
}

TEST(GgufTokenizer, NamesItsSpecialTokens) {
  const Tokenizer tokenizer(reference_directory() / "gguf/llama2.gguf");
  EXPECT_EQ(tokenizer.bos_token(), "<s>");
  EXPECT_EQ(tokenizer.eos_id(), 2);
  EXPECT_EQ(tokenizer.unk_id(), 0);
  EXPECT_TRUE(tokenizer.is_special(1));
}

}  // namespace
}  // namespace nibble::test
