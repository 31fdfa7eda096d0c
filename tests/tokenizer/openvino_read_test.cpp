// Tokenizer IRs that OpenVINO's converter wrote (tests/data/tokenizer/openvino), with the ids and texts that OpenVINO gives.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "nibble/error.hpp"
#include "nibble/tokenizer.hpp"
#include "reference_cases.hpp"
#include "scratch_directory.hpp"

namespace nibble::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<int64_t>;

fs::path ir_directory(const std::string& name) { return reference_directory() / "openvino" / name; }

std::vector<json> cases_of(const std::string& name) {
  std::vector<json> cases;
  std::ifstream file(ir_directory(name) / "cases.jsonl");
  for (std::string line; std::getline(file, line);) cases.push_back(json::parse(line));
  return cases;
}

class OpenVinoTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(OpenVinoTokenizer, GivesTheIdsOfOpenVino) {
  const Tokenizer tokenizer(ir_directory(GetParam()));
  const std::vector<json> cases = cases_of(GetParam());
  EXPECT_GT(cases.size(), 3u);
  for (const json& line : cases) EXPECT_EQ(tokenizer.encode(line.at("text").get<std::string>()).ids, line.at("ids").get<Ids>()) << line;
}

TEST_P(OpenVinoTokenizer, GivesTheTextsOfOpenVino) {
  const Tokenizer tokenizer(ir_directory(GetParam()));
  for (const json& line : cases_of(GetParam())) {
    if (!line.contains("decoded")) continue;
    EXPECT_EQ(tokenizer.decode(line.at("ids").get<Ids>()), line.at("decoded").get<std::string>()) << line;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, OpenVinoTokenizer,
                         testing::Values("bert-uncased", "llama2", "llama3", "pair", "sentencepiece-llama2", "sentencepiece-t5", "t5",
                                         "truncation"));

class StreamedOpenVinoTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(StreamedOpenVinoTokenizer, JoinsToTheWholeText) {
  const Tokenizer tokenizer(ir_directory(GetParam()));
  for (const json& line : cases_of(GetParam())) {
    const Ids ids = line.at("ids");
    StreamingDetokenizer stream(tokenizer, false);
    std::string joined;
    for (int64_t id : ids) joined += stream.put(id);
    EXPECT_EQ(joined + stream.flush(), tokenizer.decode(ids, false)) << line;
  }
}

/// Those that do not clean up spaces, which changes text that is out already.
INSTANTIATE_TEST_SUITE_P(Files, StreamedOpenVinoTokenizer, testing::Values("llama2", "sentencepiece-llama2", "sentencepiece-t5", "t5"));

TEST(OpenVinoTokenizerFile, StreamsWholeCharactersOnly) {
  const Tokenizer tokenizer(ir_directory("llama3"));
  StreamingDetokenizer stream(tokenizer);
  const Ids ids = tokenizer.encode("𓀀").ids;
  ASSERT_GT(ids.size(), 2u);
  for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(stream.put(ids[i]), "");
  EXPECT_EQ(stream.put(ids.back()), "𓀀");
}

TEST(OpenVinoTokenizerFile, LeavesSpecialTokensOutWhenAsked) {
  const Tokenizer bpe(ir_directory("llama3")), pieces(ir_directory("bert-uncased"));
  EXPECT_EQ(bpe.encode("Hello", {.add_special_tokens = false}).ids, (Ids{39, 2071, 78}));
  EXPECT_EQ(pieces.encode("Hello", {.add_special_tokens = false}).ids, (Ids{46, 1783, 420}));
  const Ids with = Tokenizer(ir_directory("sentencepiece-llama2")).encode("Hello").ids;
  const Ids without = Tokenizer(ir_directory("sentencepiece-llama2")).encode("Hello", {.add_special_tokens = false}).ids;
  EXPECT_EQ(Ids(with.begin() + 1, with.end()), without);
}

TEST(OpenVinoTokenizerFile, ShowsSpecialTokensWhenAsked) {
  const Tokenizer tokenizer(ir_directory("llama3"));
  EXPECT_EQ(tokenizer.decode(Ids{4060, 39, 2071, 78}, true), "Hello");
  EXPECT_EQ(tokenizer.decode(Ids{4060, 39, 2071, 78}, false), "<|begin_of_text|>Hello");
}

TEST(OpenVinoTokenizerFile, KnowsItsVocabularyAndSpecialTokens) {
  const Tokenizer tokenizer(ir_directory("llama3"));
  EXPECT_EQ(tokenizer.vocab_size(), 4069u);
  EXPECT_EQ(tokenizer.token_to_id("<|begin_of_text|>"), 4060);
  EXPECT_EQ(tokenizer.id_to_token(4067), "<|eot_id|>");
  EXPECT_EQ(tokenizer.bos_id(), 4060);
  EXPECT_EQ(tokenizer.eos_token(), "<|eot_id|>");
  EXPECT_TRUE(tokenizer.is_special(4060));
  EXPECT_FALSE(tokenizer.is_special(39));
}

TEST(OpenVinoTokenizerFile, HasNoOffsets) {
  const Encoding encoding = Tokenizer(ir_directory("llama3")).encode("Hello", {.offsets = true});
  EXPECT_EQ(encoding.ids.size(), 4u);
  EXPECT_TRUE(encoding.offsets.empty());
}

TEST(OpenVinoTokenizerFile, ComesAfterATokenizerJson) {
  ScratchDirectory directory;
  fs::copy(ir_directory("llama3"), directory.path(), fs::copy_options::recursive);
  fs::copy_file(reference_directory() / "gpt2/tokenizer.json", directory / "tokenizer.json");
  EXPECT_EQ(Tokenizer(directory.path()).encode("Hello").ids, Tokenizer(reference_directory() / "gpt2").encode("Hello").ids);
}

TEST(OpenVinoTokenizerFile, NeedsItsDetokenizer) {
  ScratchDirectory directory;
  for (const char* name : {"openvino_tokenizer.xml", "openvino_tokenizer.bin"})
    fs::copy_file(ir_directory("llama3") / name, directory / name);
  try {
    Tokenizer tokenizer(directory.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_NE(std::string(error.what()).find("openvino_detokenizer.xml"), std::string::npos);
  }
}

}  // namespace
}  // namespace nibble::test
