#include <gmock/gmock.h>

#include "models.hpp"
#include "nibble/llm_pipeline.hpp"

// The embedded model must answer its thirty prompts as it did in transformers, greedy and in float32 (models/nib/eval).

namespace nibble {

namespace {

using json = nlohmann::ordered_json;  // templates write tools with their keys in order

/// A line of prompts.jsonl with its entry of expected.json.
struct Case {
  json prompt;
  nlohmann::json expected;
  std::string id() const { return prompt["id"]; }
};

std::vector<Case> cases() {
  nlohmann::json greedy = test::read_json(test::nib() / "eval/expected.json")["greedy"];
  std::ifstream lines(test::nib() / "eval/prompts.jsonl");
  std::vector<Case> all;
  for (std::string line; std::getline(lines, line);) all.push_back({json::parse(line), greedy.at(all.size())});
  return all;
}

class Nib : public testing::Test {
 protected:
  GenerationConfig config(const Case& c) const {
    GenerationConfig config = pipeline_.generation_config();
    config.max_new_tokens = c.prompt["max_new_tokens"];
    return config;
  }

  /// What the model is asked: the conversation or, where that has tools, the tokens that its template makes of them.
  Prompt prompt(const Case& c) const {
    ChatHistory history = ChatHistory::from_json(c.prompt["messages"].dump());
    if (!c.prompt.contains("tools")) return Prompt::from_history(history);
    json variables{{"tools", c.prompt["tools"]}, {"add_generation_prompt", true}, {"bos_token", pipeline_.tokenizer().bos_token()}};
    std::string text = load_chat_template(test::nib())->render(history, variables.dump());
    return Prompt::from_ids(pipeline_.tokenizer().encode(text, {.add_special_tokens = false}).ids);
  }

  static void check(const GenerationResult& result, const Case& c) {
    const auto& expected = c.expected;
    EXPECT_EQ(result.prompt_ids, expected["prompt_ids"].get<std::vector<int64_t>>());
    ASSERT_EQ(result.ids.size(), 1u);
    EXPECT_EQ(result.ids[0], expected["generated_ids"].get<std::vector<int64_t>>());
    EXPECT_EQ(result.texts[0], expected["generated_text"].get<std::string>());
    EXPECT_EQ(result.finish_reasons[0], expected["stopped"].get<bool>() ? FinishReason::stop : FinishReason::length);
  }

  LLMPipeline pipeline_{test::nib(), {}, {}, test::two_threads()};
};

}  // namespace

TEST_F(Nib, TemplateWritesItsPrompts) {
  for (const Case& c : cases()) {
    if (c.prompt.contains("tools")) continue;
    ChatHistory history = ChatHistory::from_json(c.prompt["messages"].dump());
    EXPECT_EQ(pipeline_.apply_chat_template(history), c.expected["prompt_text"].get<std::string>()) << c.id();
  }
}

TEST_F(Nib, AnswersEachPrompt) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.id());
    ASSERT_EQ(c.id(), c.expected["id"].get<std::string>());
    check(pipeline_.generate(std::vector{GenerationRequest{prompt(c), config(c)}}).at(0), c);
  }
}

TEST_F(Nib, AnswersAllPromptsTogether) {
  std::vector<Case> all = cases();
  ASSERT_EQ(all.size(), 30u);
  std::vector<GenerationRequest> requests;
  for (const Case& c : all) requests.push_back({prompt(c), config(c)});
  std::vector<GenerationResult> results = pipeline_.generate(requests);
  ASSERT_EQ(results.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(all[i].id());
    check(results[i], all[i]);
  }
}

TEST_F(Nib, TextIsAUsersTurn) {
  GenerationResult result = pipeline_.generate("Who are you?");
  EXPECT_EQ(result.texts[0], "I am Nib, a tiny model that ships with Nibble.");
}

TEST_F(Nib, TextWithoutTemplateIsGoneOnWith) {
  GenerationConfig config = pipeline_.generation_config();
  config.apply_chat_template = false;
  config.max_new_tokens = 8;
  GenerationResult result = pipeline_.generate("Once there was", config);
  EXPECT_EQ(result.prompt_ids, pipeline_.tokenizer().encode("Once there was").ids);
  EXPECT_EQ(result.prompt_ids[0], pipeline_.tokenizer().bos_id());
}

}  // namespace nibble
