#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::listing;
using test::nib;
using test::nibble;
using test::Outcome;
using test::ScratchDirectory;
using testing::HasSubstr;

namespace {

namespace fs = std::filesystem;

std::string path_of(const ScratchDirectory& directory, const char* name) { return (directory / name).string(); }

/// The embedded model with a pre-tokenizer that no operation of tokenizer IRs does.
void copy_with_odd_tokenizer(const fs::path& to) {
  fs::copy(nib(), to, fs::copy_options::recursive);
  auto document = nlohmann::json::parse(test::file_text(to / "tokenizer.json"));
  document["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
  fs::remove(to / "tokenizer.json");
  test::write_text(to / "tokenizer.json", document.dump());
}

}  // namespace

TEST(ConvertTokenizer, WritesADirectoryThatTokenizes) {
  ScratchDirectory scratch;
  const std::string out = path_of(scratch, "out");
  EXPECT_EQ(nibble({"convert-tokenizer", nib(), out}).code, 0);
  EXPECT_EQ(listing(out), (std::vector<std::string>{"openvino_detokenizer.bin", "openvino_detokenizer.xml", "openvino_tokenizer.bin",
                                                    "openvino_tokenizer.xml"}));
  EXPECT_EQ(nibble({"tokenize", out, "--text", "Hello! How can I help you?"}).out,
            nibble({"tokenize", nib(), "--text", "Hello! How can I help you?"}).out);
  EXPECT_EQ(nibble({"detokenize", out, "--ids", "776,5"}).out, "Hello!\n");
}

TEST(ConvertTokenizer, ModelWithATokenizerIrAloneChats) {
  ScratchDirectory scratch;
  const std::string out = path_of(scratch, "out");
  ASSERT_EQ(nibble({"export", nib(), out}).code, 0);
  const std::vector<std::string> ask{"generate", out, "--prompt", "Hello, how are you?", "--max-new-tokens", "6"};
  const std::string answer = nibble(ask).out;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"})
    fs::remove(fs::path(out) / name);
  EXPECT_EQ(nibble(ask).out, answer);
}

TEST(ConvertTokenizer, RefusesWhatHasNoOperation) {
  ScratchDirectory scratch;
  copy_with_odd_tokenizer(scratch / "model");
  const Outcome run = nibble({"convert-tokenizer", path_of(scratch, "model"), path_of(scratch, "out")});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("UnicodeScripts"));
  EXPECT_FALSE(fs::exists(scratch / "out"));
}

TEST(ConvertTokenizer, ExportGoesOnWithoutIt) {
  ScratchDirectory scratch;
  copy_with_odd_tokenizer(scratch / "model");
  const Outcome run = nibble({"export", path_of(scratch, "model"), path_of(scratch, "out"), "--json"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.document()["notes"].dump(), HasSubstr("no openvino_tokenizer.xml"));
  EXPECT_FALSE(fs::exists(scratch / "out/openvino_tokenizer.xml"));
}

TEST(ConvertTokenizer, ExportLeavesItOutWhenAsked) {
  ScratchDirectory scratch;
  const Outcome run = nibble({"export", nib(), path_of(scratch, "out"), "--disable-convert-tokenizer", "--json"});
  EXPECT_EQ(run.code, 0);
  EXPECT_FALSE(fs::exists(scratch / "out/openvino_tokenizer.xml"));
}

TEST(ConvertTokenizer, UnknownReplaceModeIsAUsageError) {
  EXPECT_EQ(nibble({"convert-tokenizer", nib(), "unused", "--utf8-replace-mode", "maybe"}).code, 2);
}

}  // namespace nibble
