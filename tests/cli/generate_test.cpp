#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::nib;
using test::nibble;
using test::Outcome;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

namespace {

using nlohmann::json;

const std::string kAnswer = "I am Nib, a tiny model that ships with Nibble.";
// The tokens of the question "Who are you?" as the chat template writes it, and of its answer.
const std::string kPromptIds = "1,3,297,203,756,379,351,35,4,3,296,203";
const std::vector<int64_t> kAnswerIds{45, 457, 848, 16, 265, 1200, 1154, 578, 1746, 87, 456, 1457, 18, 4};

std::vector<std::string> generate(std::vector<std::string> more) {
  more.insert(more.begin(), {"generate", nib()});
  return more;
}

}  // namespace

TEST(Generate, StreamsTheAnswer) {
  Outcome run = nibble(generate({"-p", "Who are you?"}));
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, kAnswer + "\n");
  EXPECT_THAT(run.err, IsEmpty());
}

TEST(Generate, PromptMayComeFromAFile) {
  test::ScratchDirectory scratch;
  test::write_text(scratch / "prompt.txt", "Who are you?");
  EXPECT_EQ(nibble(generate({"--prompt-file", scratch / "prompt.txt"})).out, kAnswer + "\n");
  Outcome missing = nibble(generate({"--prompt-file", scratch / "missing.txt"}));
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, AllOf(StartsWith("nibble: error: "), HasSubstr("missing.txt")));
}

TEST(Generate, PromptMayComeFromStandardInput) { EXPECT_EQ(nibble(generate({}), "Who are you?").out, kAnswer + "\n"); }

TEST(Generate, PromptMayBeTokens) { EXPECT_EQ(nibble(generate({"--ids", kPromptIds})).out, kAnswer + "\n"); }

TEST(Generate, RawLeavesTheTemplateOut) {
  json raw = nibble(generate({"-p", "Once there was", "--raw", "--max-new-tokens", "3", "--json"})).document();
  EXPECT_EQ(raw["prompt_tokens"], 4) << "one of them begins the text";
  json chat = nibble(generate({"-p", "Once there was", "--max-new-tokens", "3", "--json"})).document();
  EXPECT_GT(chat["prompt_tokens"], 4);
}

TEST(Generate, JsonIsOneDocumentWithTheResult) {
  Outcome run = nibble(generate({"-p", "Who are you?", "--logprobs", "1", "--json"}));
  EXPECT_THAT(run.err, IsEmpty());
  json document = run.document();
  EXPECT_EQ(document["texts"], json::array({kAnswer}));
  EXPECT_EQ(document["ids"], json::array({kAnswerIds}));
  ASSERT_THAT(document["scores"], SizeIs(1));
  EXPECT_LT(document["scores"][0], 0);
  EXPECT_EQ(document["finish_reasons"], json::array({"stop"}));
  EXPECT_EQ(document["prompt_tokens"], 12);
  EXPECT_TRUE(document["device"].is_string());
  for (const char* name : {"load_time_ms", "ttft_ms", "tpot_ms", "throughput_tps"}) EXPECT_GT(document["metrics"][name], 0) << name;
  EXPECT_EQ(document["metrics"]["num_generated_tokens"], kAnswerIds.size());
}

TEST(Generate, WhatWasNotMeasuredIsNull) {
  json metrics = nibble(generate({"--ids", "1,2,3", "--max-new-tokens", "1", "--json"})).document()["metrics"];
  EXPECT_TRUE(metrics["tpot_ms"].is_null());
  EXPECT_TRUE(metrics["tokenization_duration_ms"].is_null());
}

TEST(Generate, OptionsAreFieldsOfTheConfig) {
  json document = nibble(generate({"-p", "Who are you?", "--stop-strings", "model that", "--json"})).document();
  EXPECT_EQ(document["texts"][0], "I am Nib, a tiny");
  EXPECT_EQ(nibble(generate({"-p", "Who are you?", "--max-new-tokens", "3"})).out, "I am Nib\n");
  EXPECT_THAT(nibble(generate({"-p", "Who are you?", "--echo"})).out, StartsWith("user\nWho are you?"));
}

TEST(Generate, ConfigsOutOfRangeAreErrors) {
  Outcome run = nibble(generate({"-p", "Hi", "--do-sample", "--top-p", "2"}));
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, AllOf(StartsWith("nibble: error: "), HasSubstr("top_p is 2")));
}

TEST(Generate, SeveralSequencesAreAllPrinted) {
  std::vector<std::string> sampled =
      generate({"-p", "Tell me a story.", "--do-sample", "--num-return-sequences", "3", "--max-new-tokens", "8"});
  EXPECT_EQ(nibble(sampled).code, 0);
  sampled.push_back("--json");
  json document = nibble(sampled).document();
  for (const char* list : {"texts", "ids", "scores", "finish_reasons"}) EXPECT_THAT(document[list], SizeIs(3)) << list;
}

TEST(GenerateLines, AnswerEachLineInOrder) {
  Outcome run = nibble(generate({"--jsonl"}),
                       "{\"prompt\": \"Who are you?\"}\n"
                       "\n"
                       "{\"messages\": [{\"role\": \"user\", \"content\": \"What is 7 + 5?\"}], \"config\": {\"max_new_tokens\": 32}}\n"
                       "{\"ids\": [" +
                           kPromptIds + "], \"config\": {\"max_new_tokens\": 3}}\n");
  EXPECT_EQ(run.code, 0);
  auto lines = run.lines();
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_EQ(lines[0]["texts"][0], kAnswer);
  EXPECT_EQ(lines[1]["texts"][0], "7 + 5 = 12.");
  EXPECT_EQ(lines[2]["texts"][0], "I am Nib");
  EXPECT_EQ(lines[2]["finish_reasons"][0], "length");
}

TEST(GenerateLines, ErrorsStandInTheirPlaces) {
  Outcome run = nibble(generate({"--jsonl", "--max-new-tokens", "3"}),
                       "{\"prompt\": \"Who are you?\"}\n"
                       "not json\n"
                       "[1, 2]\n"
                       "{\"prompt\": \"Who are you?\", \"config\": {\"temperatur\": 1}}\n"
                       "{\"prompt\": \"Who are you?\", \"config\": {\"max_new_tokens\": 0}}\n"
                       "{\"config\": {}}\n"
                       "{\"ids\": [\"one\"]}\n"
                       "{\"ids\": [1, 99999]}\n"
                       "{\"messages\": 5}\n"
                       "{\"prompt\": \"Who are you?\"}\n");
  EXPECT_EQ(run.code, 0);
  auto lines = run.lines();
  ASSERT_THAT(lines, SizeIs(10));
  EXPECT_EQ(lines[0]["texts"][0], "I am Nib");
  EXPECT_EQ(lines[9]["texts"][0], "I am Nib");
  for (size_t i = 1; i < 9; ++i) EXPECT_TRUE(lines[i].contains("error")) << lines[i];
  EXPECT_THAT(lines[3]["error"], HasSubstr("temperatur"));
  EXPECT_THAT(lines[4]["error"], HasSubstr("max_new_tokens is 0"));
  EXPECT_THAT(lines[5]["error"], HasSubstr("\"prompt\", \"messages\" or \"ids\""));
}

TEST(GenerateLines, DeeplyNestedLinesAreErrors) {
  std::string deep = "{\"config\": " + std::string(200000, '[') + std::string(200000, ']') + "}\n";
  Outcome run = nibble(generate({"--jsonl"}), deep);
  EXPECT_EQ(run.code, 0);
  ASSERT_THAT(run.lines(), SizeIs(1));
  EXPECT_TRUE(run.lines()[0].contains("error"));
}

TEST(GenerateLines, MoreThanABatchOfLines) {
  std::string input;
  for (int i = 0; i < 70; ++i)
    input += "{\"ids\": [1, " + std::to_string(300 + i) + "], \"config\": {\"max_new_tokens\": 1, \"echo\": true}}\n";
  auto lines = nibble(generate({"--jsonl"}), input).lines();
  ASSERT_THAT(lines, SizeIs(70));
  for (int i = 0; i < 70; ++i) EXPECT_EQ(lines[static_cast<size_t>(i)]["ids"][0][1], 300 + i);
}

}  // namespace nibble
