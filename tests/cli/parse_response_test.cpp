#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using nlohmann::json;
using test::nibble;
using test::Outcome;
using testing::HasSubstr;

namespace {

const char* kCall = "Let me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";

}  // namespace

TEST(ParseResponse, TakesTheFormatFromTheModel) {
  const Outcome run = nibble({"parse-response", test::nib()}, kCall);
  EXPECT_EQ(run.code, 0);
  const json document = run.document();
  EXPECT_EQ(document["tool_parser"], "hermes");
  EXPECT_EQ(document["reasoning_parser"], "none");
  EXPECT_EQ(document["message"]["content"], "Let me look.");
  EXPECT_EQ(document["message"]["tool_calls"][0]["function"], json::parse(R"({"name": "get_weather", "arguments": {"city": "Rome"}})"));
}

TEST(ParseResponse, TakesTheFormatByName) {
  const Outcome run = nibble({"parse-response", "--reasoning-parser", "think", "--prompt", "<think>\n"}, "Hm.\n</think>\nYes.");
  EXPECT_EQ(run.document()["message"], json::parse(R"({"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."})"));
}

TEST(ParseResponse, NoneLeavesTheTextAsItIs) {
  EXPECT_EQ(nibble({"parse-response", test::nib(), "--tool-parser", "none"}, kCall).document()["message"]["content"], kCall);
}

TEST(ParseResponse, AnswersLines) {
  const std::string tools = R"([{"name": "f", "parameters": {"properties": {"x": {"type": "string"}}}}])";
  const std::string line =
      json({{"text", "<tool_call><function=f><parameter=x>1</parameter></function></tool_call>"}, {"tools", json::parse(tools)}}).dump();
  const Outcome run = nibble({"parse-response", "--tool-parser", "qwen3_coder", "--jsonl"}, line + "\n{}\n");
  ASSERT_EQ(run.lines().size(), 2u);
  EXPECT_EQ(run.lines()[0]["message"]["tool_calls"][0]["function"]["arguments"], json::parse(R"({"x": "1"})"));
  EXPECT_TRUE(run.lines()[1].contains("error"));
}

TEST(ParseResponse, NeedsAFormat) {
  EXPECT_EQ(nibble({"parse-response"}, "x").code, 2);
  const Outcome run = nibble({"parse-response", "--tool-parser", "hermless"}, "x");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("take one of harmony"));
}

}  // namespace nibble
