#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::nib;
using test::nibble;
using test::Outcome;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

namespace {

using nlohmann::json;

const json kIds{1, 776, 5, 721, 424, 347, 441, 351, 35};  // Hello! How can I help you?

}  // namespace

TEST(Tokenize, PrintsIds) {
  EXPECT_EQ(nibble({"tokenize", nib(), "--text", "Hello! How can I help you?"}).out, "1,776,5,721,424,347,441,351,35\n");
}

TEST(Tokenize, ReadsStandardInputAsItIs) {
  EXPECT_EQ(nibble({"tokenize", nib(), "--json"}, "Hello! How can I help you?").document(), json({{"ids", kIds}}));
  EXPECT_GT(nibble({"tokenize", nib(), "--json"}, "Hello! How can I help you?\n").document()["ids"].size(), kIds.size());
}

TEST(Tokenize, SpecialTokensCanBeLeftOut) {
  EXPECT_EQ(nibble({"tokenize", nib(), "--text", "Hello!", "--no-special-tokens"}).out, "776,5\n");
}

TEST(Tokenize, OffsetsAreInCodePoints) {
  json document = nibble({"tokenize", nib(), "--text", "\u00e9 fox", "--offsets", "--json"}).document();
  EXPECT_EQ(document["offsets"], json::parse("[[0,0],[0,1],[0,1],[1,5]]"));
}

TEST(TokenizeLines, AnswerEachLine) {
  Outcome run = nibble({"tokenize", nib(), "--jsonl"},
                       "{\"text\": \"Hello!\"}\n"
                       "{\"text\": \"Hello!\", \"add_special_tokens\": false}\n"
                       "{\"txt\": \"Hello!\"}\n"
                       "{\"text\": 5}\n"
                       "nonsense\n"
                       "{\"text\": \"\", \"add_special_tokens\": false}\n");
  EXPECT_EQ(run.code, 0);
  auto lines = run.lines();
  ASSERT_THAT(lines, SizeIs(6));
  EXPECT_EQ(lines[0], json::parse(R"({"ids": [1, 776, 5], "offsets": [[0, 0], [0, 5], [5, 6]]})"));
  EXPECT_EQ(lines[1], json::parse(R"({"ids": [776, 5], "offsets": [[0, 5], [5, 6]]})"));
  for (size_t i : {2, 3, 4}) EXPECT_TRUE(lines[i].contains("error")) << i;
  EXPECT_EQ(lines[5], json::parse(R"({"ids": [], "offsets": []})"));
}

TEST(Detokenize, PrintsText) {
  EXPECT_EQ(nibble({"detokenize", nib(), "--ids", "776,5,721"}).out, "Hello! How\n");
  EXPECT_EQ(nibble({"detokenize", nib(), "--json"}, "776, 5, 721").document(), json({{"text", "Hello! How"}}));
}

TEST(Detokenize, SpecialTokensCanBeLeftOut) {
  EXPECT_EQ(nibble({"detokenize", nib(), "--ids", "1,776,4"}).out, "<|begin|>Hello<|stop|>\n");
  EXPECT_EQ(nibble({"detokenize", nib(), "--ids", "1,776,4", "--no-special-tokens"}).out, "Hello\n");
}

TEST(DetokenizeLines, AnswerEachLine) {
  Outcome run = nibble({"detokenize", nib(), "--jsonl"},
                       "{\"ids\": [1, 776, 4]}\n"
                       "{\"ids\": [1, 776, 4], \"skip_special_tokens\": false}\n"
                       "{\"ids\": \"1\"}\n");
  auto lines = run.lines();
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_EQ(lines[0], json({{"text", "Hello"}}));
  EXPECT_EQ(lines[1], json({{"text", "<|begin|>Hello<|stop|>"}}));
  EXPECT_TRUE(lines[2].contains("error"));
}

TEST(DetokenizeLines, StreamsInPieces) {
  auto lines = nibble({"detokenize", nib(), "--jsonl"}, "{\"ids\": [776, 132, 107, 5], \"stream\": true}\n").lines();
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["pieces"], json({"Hello", "", "\u00e9", "!"}));
  EXPECT_EQ(lines[0]["text"], "Hello\u00e9!");
}

TEST(Template, RendersMessages) {
  std::string messages = R"([{"role": "user", "content": "Hi"}])";
  Outcome run = nibble({"template", nib() + "/chat_template.jinja", "--messages", messages});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, HasSubstr("<|turn|>user\nHi<|stop|><|turn|>assistant\n"));
  EXPECT_EQ(nibble({"template", nib(), "--json"}, messages).document()["text"].get<std::string>() + "\n", run.out);
  std::string closed = nibble({"template", nib(), "--messages", messages, "--no-generation-prompt"}).out;
  EXPECT_THAT(closed, testing::EndsWith("Hi<|stop|>\n"));
}

TEST(TemplateLines, AnswerEachLine) {
  Outcome run = nibble({"template", nib(), "--jsonl"},
                       R"({"messages": [{"role": "user", "content": "Hi"}], "bos_token": "<|begin|>", "add_generation_prompt": true})"
                       "\n"
                       R"({"messages": 5})"
                       "\n"
                       "nonsense\n"
                       R"({"messages": [{"role": "user", "content": "Ho"}], "bos_token": ""})"
                       "\n");
  EXPECT_EQ(run.code, 0);
  auto lines = run.lines();
  ASSERT_THAT(lines, SizeIs(4));
  EXPECT_EQ(lines[0]["text"], "<|begin|><|turn|>user\nHi<|stop|><|turn|>assistant\n");
  EXPECT_TRUE(lines[1].contains("error"));
  EXPECT_TRUE(lines[2].contains("error"));
  EXPECT_EQ(lines[3]["text"], "<|turn|>user\nHo<|stop|>");
}

TEST(TemplateLines, ToolsKeepTheOrderOfTheirKeys) {
  auto lines = nibble({"template", nib(), "--jsonl"},
                      R"({"messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function", "name": "f", "a": 1}]})"
                      "\n")
                   .lines();
  EXPECT_THAT(lines.at(0)["text"].get<std::string>(), HasSubstr(R"({"type": "function", "name": "f", "a": 1})"));
}

TEST(Template, BrokenTemplatesAreErrors) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "broken.jinja", "{% if %}");
  Outcome run = nibble({"template", scratch / "broken.jinja", "--messages", "[]"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, StartsWith("nibble: error: "));
}

}  // namespace nibble
