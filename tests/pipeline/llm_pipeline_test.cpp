#include "nibble/llm_pipeline.hpp"
#include "nibble/chat.hpp"

#include <gmock/gmock.h>

#include <functional>
#include <set>
#include <stdexcept>

#include "expect_error.hpp"
#include "models.hpp"
#include "nibble/export.hpp"

namespace nibble {

using test::fails;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

namespace {

const std::vector<int64_t> kStory{1, 798, 404, 322, 265, 435, 1337, 385, 741, 18};  // Once there was a little fox named Bella.

class Pipeline : public testing::Test {
 protected:
  GenerationConfig config(size_t max_new_tokens) const {
    GenerationConfig config = pipeline_.generation_config();
    config.max_new_tokens = max_new_tokens;
    return config;
  }
  GenerationConfig sampling(size_t max_new_tokens, size_t sequences = 1) const {
    GenerationConfig sampled = config(max_new_tokens);
    sampled.do_sample = true;
    sampled.temperature = 1.5f;
    sampled.num_return_sequences = sequences;
    return sampled;
  }

  LLMPipeline pipeline_{test::nib(), {}, {}, test::two_threads()};
};

/// What a callback got; asks to stop after some pieces.
class Collected {
 public:
  explicit Collected(size_t stop_after = 1'000'000) : left_(stop_after) {}
  StreamerCallback callback() {
    return [this](std::string_view piece) {
      EXPECT_FALSE(piece.empty());
      pieces_.emplace_back(piece);
      return --left_ == 0 ? StreamingStatus::stop : StreamingStatus::running;
    };
  }
  std::string text() const {
    std::string joined;
    for (const auto& piece : pieces_) joined += piece;
    return joined;
  }
  std::vector<std::string> pieces_;

 private:
  size_t left_;
};

}  // namespace

TEST_F(Pipeline, KnowsItsModel) {
  EXPECT_TRUE(pipeline_.has_tokenizer());
  EXPECT_TRUE(pipeline_.has_chat_template());
  EXPECT_EQ(pipeline_.device(), default_device());
  EXPECT_THAT(pipeline_.generation_config().eos_token_ids, ElementsAre(2, 4));
  EXPECT_GT(pipeline_.load_time_ms(), 0);
}

TEST_F(Pipeline, TemplatesSeeMessagesWithTheirKeysInOrder) {
  ChatHistory history;
  history.add("user", "What is the weather in Rome?");
  history.add_json(R"({"role": "assistant", "tool_calls": [{"name": "get_weather", "arguments": {"unit": "C", "city": "Rome"}}]})");
  EXPECT_THAT(pipeline_.apply_chat_template(history), HasSubstr(R"({"unit": "C", "city": "Rome"})"));
}

TEST_F(Pipeline, SpecialTokensAreInTheTextOnRequest) {
  GenerationConfig all = config(32);
  const GenerationResult plain = pipeline_.generate("Who are you?", all);
  all.skip_special_tokens = false;
  std::string streamed;
  const GenerationResult result = pipeline_.generate("Who are you?", all, [&](std::string_view text) {
    streamed += text;
    return StreamingStatus::running;
  });
  EXPECT_EQ(result.texts[0], plain.texts[0] + pipeline_.tokenizer().id_to_token(result.ids[0].back()));
  EXPECT_EQ(streamed, result.texts[0]);
}

TEST_F(Pipeline, ToolsOfAConversationAreCalled) {
  ChatHistory history;
  history.add("user", "What is the weather in Oslo?");
  history.set_tools(
      R"([{"type": "function", "function": {"name": "get_weather", "description": "Get the weather of a city.", "parameters": )"
      R"({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}])");
  const GenerationResult result = pipeline_.generate(history, config(48));
  const ResponseFormat format = detect_response_format(pipeline_.chat_template(history).source());
  const ParsedResponse response = parse_response(result.texts[0], {.format = format, .tools = history.tools()});
  ASSERT_THAT(response.tool_calls, SizeIs(1));
  EXPECT_EQ(response.tool_calls[0].name, "get_weather");
  EXPECT_EQ(response.tool_calls[0].arguments, R"({"city": "Oslo"})");
}

TEST_F(Pipeline, ATemplateCanBeGiven) {
  pipeline_.set_chat_template(ChatTemplate("{{ messages[0].content }}{{ tools | length }}{{ answer }}"));
  ChatHistory history;
  history.add("user", "Hi");
  history.set_tools(R"([{"name": "f"}])");
  history.set_extra_context(R"({"answer": 42})");
  EXPECT_EQ(pipeline_.apply_chat_template(history), "Hi142");
}

TEST_F(Pipeline, ChecksConfigsBeforeItRuns) {
  GenerationConfig bad = config(0);
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"max_new_tokens is 0"}, [&] { pipeline_.generate("Hello!", bad); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"max_new_tokens is 0"}, [&] { pipeline_.set_generation_config(bad); }));
}

TEST_F(Pipeline, OwnConfigIsUsedUnlessOneIsGiven) {
  pipeline_.set_generation_config(config(2));
  EXPECT_THAT(pipeline_.generate("Who are you?").ids[0], SizeIs(2));
  EXPECT_THAT(pipeline_.generate("Who are you?", config(3)).ids[0], SizeIs(3));
}

TEST_F(Pipeline, EndTokensComeFromTheModelUnlessGiven) {
  GenerationConfig bare;
  bare.max_new_tokens = 32;
  EXPECT_THAT(pipeline_.generate("Who are you?", bare).texts[0], HasSubstr("ships with Nibble."));
  bare.eos_token_ids = {16};  // ,
  EXPECT_EQ(pipeline_.generate("Who are you?", bare).texts[0], "I am Nib,");
}

TEST_F(Pipeline, MaxLengthCountsThePrompt) {
  GenerationConfig limited = pipeline_.generation_config();
  limited.max_length = kStory.size() + 5;
  EXPECT_THAT(pipeline_.generate(kStory, limited).ids[0], SizeIs(5));
  limited.max_new_tokens = 7;
  EXPECT_THAT(pipeline_.generate(kStory, limited).ids[0], SizeIs(7)) << "max_new_tokens goes first";
}

TEST_F(Pipeline, PromptsBeyondTheLimitAreRejectedWithBothNumbers) {
  GenerationConfig limited = pipeline_.generation_config();
  limited.max_length = 10;
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"10 tokens", "max_length is 10"}, [&] { pipeline_.generate(kStory, limited); }));
  std::vector<int64_t> huge(1024, 5);
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"1024 tokens", "context length is 1024"},
                    [&] { pipeline_.generate(huge, pipeline_.generation_config()); }));
}

TEST_F(Pipeline, TokensOfNoVocabularyAreRejected) {
  for (int64_t id : {int64_t{2048}, int64_t{-5000}}) EXPECT_THROW(pipeline_.generate(std::vector<int64_t>{1, id}, config(3)), Error) << id;
  EXPECT_THAT(pipeline_.generate(kStory, config(3)).ids[0], SizeIs(3)) << "the pipeline still works";
}

TEST_F(Pipeline, AnEmptyPromptIsRejected) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"prompt is empty"}, [&] { pipeline_.generate(std::vector<int64_t>(), config(3)); }));
}

TEST_F(Pipeline, EchoPutsThePromptFirst) {
  GenerationConfig echo = config(6);
  std::vector<int64_t> answer = pipeline_.generate(kStory, echo).ids[0];
  echo.echo = true;
  GenerationResult result = pipeline_.generate(kStory, echo);
  std::vector<int64_t> expected = kStory;
  expected.insert(expected.end(), answer.begin(), answer.end());
  EXPECT_EQ(result.ids[0], expected);
  EXPECT_EQ(result.texts[0], pipeline_.tokenizer().decode(expected));
  EXPECT_EQ(result.metrics.num_generated_tokens, 6u);
}

TEST_F(Pipeline, EchoAloneGeneratesNothing) {
  GenerationConfig echo = config(0);
  echo.echo = true;
  GenerationResult result = pipeline_.generate(kStory, echo);
  EXPECT_EQ(result.ids[0], kStory);
  EXPECT_EQ(result.finish_reasons[0], FinishReason::none);
}

TEST_F(Pipeline, StopStringsAreCutFromTextAndIds) {
  GenerationConfig stopping = config(32);
  stopping.stop_strings = {"model that"};
  GenerationResult result = pipeline_.generate("Who are you?", stopping);
  EXPECT_EQ(result.texts[0], "I am Nib, a tiny");
  EXPECT_EQ(pipeline_.tokenizer().decode(result.ids[0]), result.texts[0]);
  EXPECT_EQ(result.finish_reasons[0], FinishReason::stop);
  stopping.include_stop_str_in_output = true;
  EXPECT_EQ(pipeline_.generate("Who are you?", stopping).texts[0], "I am Nib, a tiny model that");
}

TEST_F(Pipeline, SampledSequencesDifferAndCanBeRepeated) {
  GenerationResult result = pipeline_.generate(kStory, sampling(12, 4));
  EXPECT_THAT(result.ids, SizeIs(4));
  EXPECT_EQ(std::set(result.ids.begin(), result.ids.end()).size(), 4u);
  EXPECT_THAT(result.texts, SizeIs(4));
  EXPECT_THAT(result.scores, Each(testing::Lt(0)));
  EXPECT_EQ(result.metrics.num_generated_tokens, 4 * 12u);
  EXPECT_EQ(pipeline_.generate(kStory, sampling(12, 4)).ids, result.ids);
}

TEST_F(Pipeline, RequestsTogetherGiveWhatTheyGiveAlone) {
  std::vector<GenerationRequest> requests{{Prompt::from_text("Who are you?"), config(20)},
                                          {Prompt::from_ids(kStory), sampling(9, 3)},
                                          {Prompt::from_ids({1, 798}), config(1)},
                                          {Prompt::from_ids(kStory), config(12)}};
  requests[3].config.repetition_penalty = 1.3f;
  requests[3].config.logprobs = 1;
  std::vector<GenerationResult> together = pipeline_.generate(requests);
  ASSERT_THAT(together, SizeIs(requests.size()));
  for (size_t i = 0; i < requests.size(); ++i) {
    GenerationResult alone = pipeline_.generate(std::vector{requests[i]}).at(0);
    EXPECT_EQ(together[i].ids, alone.ids) << i;
    EXPECT_EQ(together[i].texts, alone.texts) << i;
    EXPECT_EQ(together[i].finish_reasons, alone.finish_reasons) << i;
    EXPECT_THAT(together[i].scores, testing::Pointwise(testing::FloatNear(1e-4f), alone.scores)) << i;
  }
}

TEST_F(Pipeline, NoRequestsGiveNoResults) { EXPECT_THAT(pipeline_.generate(std::vector<GenerationRequest>()), SizeIs(0)); }

TEST_F(Pipeline, MetricsCoverTheCall) {
  PerfMetrics m = pipeline_.generate("Who are you?", config(5)).metrics;
  EXPECT_EQ(m.num_input_tokens, 12u);
  EXPECT_EQ(m.num_generated_tokens, 5u);
  EXPECT_THAT(m.token_times_ms, SizeIs(4));
  EXPECT_GT(m.ttft_ms.mean, 0);
  EXPECT_GT(m.tpot_ms.mean, 0);
  EXPECT_GE(m.generate_duration_ms, m.ttft_ms.mean + 4 * m.tpot_ms.mean - 1e-6);
  EXPECT_GE(m.generate_duration_ms, m.inference_duration_ms + m.sampling_duration_ms);
  EXPECT_GE(m.tokenization_duration_ms, 0);
  EXPECT_GE(m.chat_template_duration_ms, 0);
  EXPECT_GE(m.detokenization_duration_ms, 0);
  EXPECT_NEAR(m.throughput_tps(), 1000 / m.tpot_ms.mean, 1e-6);
}

TEST_F(Pipeline, WhatDidNotHappenHasNoTime) {
  PerfMetrics m = pipeline_.generate(kStory, config(1)).metrics;
  EXPECT_EQ(m.tokenization_duration_ms, -1);
  EXPECT_EQ(m.chat_template_duration_ms, -1);
  EXPECT_EQ(m.tpot_ms.mean, -1);
  EXPECT_EQ(m.throughput_tps(), 0);
}

TEST_F(Pipeline, StreamedPiecesAddUpToTheText) {
  for (const char* prompt : {"Who are you?", "Count from 7 to 14.", "Tell me a short story about a fox and a kite."}) {
    Collected collected;
    GenerationResult result = pipeline_.generate(prompt, config(48), collected.callback());
    EXPECT_EQ(collected.text(), result.texts[0]);
    EXPECT_GT(collected.pieces_.size(), 3u) << "piece by piece";
  }
}

TEST_F(Pipeline, StreamingGivesTheSameAnswer) {
  Collected collected;
  EXPECT_EQ(pipeline_.generate("Who are you?", config(20), collected.callback()).ids, pipeline_.generate("Who are you?", config(20)).ids);
}

TEST_F(Pipeline, StreamedTextEndsBeforeTheStopString) {
  for (bool keep : {false, true}) {
    GenerationConfig stopping = config(32);
    stopping.stop_strings = {"model that", "ships"};
    stopping.include_stop_str_in_output = keep;
    Collected collected;
    GenerationResult result = pipeline_.generate("Who are you?", stopping, collected.callback());
    EXPECT_EQ(collected.text(), result.texts[0]) << keep;
    EXPECT_EQ(result.texts[0], keep ? "I am Nib, a tiny model that" : "I am Nib, a tiny") << keep;
  }
}

TEST_F(Pipeline, StreamedEchoComesFirst) {
  GenerationConfig echo = config(6);
  echo.echo = true;
  Collected collected;
  GenerationResult result = pipeline_.generate(kStory, echo, collected.callback());
  EXPECT_EQ(collected.text(), result.texts[0]);
}

TEST_F(Pipeline, ACharacterThatThePromptBeginsIsStreamedWhole) {
  GenerationConfig echo = config(0);
  echo.echo = true;
  Collected collected;
  std::vector<int64_t> ids = pipeline_.tokenizer().encode("fox \u4e16").ids;
  ids.pop_back();
  GenerationResult result = pipeline_.generate(ids, echo, collected.callback());
  EXPECT_EQ(collected.text(), result.texts[0]);
}

TEST_F(Pipeline, TheCallbackCanStop) {
  Collected collected(3);
  GenerationResult result = pipeline_.generate("Who are you?", config(20), collected.callback());
  EXPECT_THAT(collected.pieces_, SizeIs(3));
  EXPECT_EQ(collected.text(), result.texts[0]);
  EXPECT_EQ(result.finish_reasons[0], FinishReason::stop);
  EXPECT_LT(result.ids[0].size(), 14u);
}

TEST_F(Pipeline, WhatACallbackThrowsComesThrough) {
  auto failing = [](std::string_view) -> StreamingStatus { throw std::runtime_error("the window was closed"); };
  EXPECT_THROW(pipeline_.generate("Who are you?", config(20), failing), std::runtime_error);
  EXPECT_EQ(pipeline_.generate("Who are you?", config(20)).texts[0], "I am Nib, a tiny model that ships with Nibble.");
}

TEST_F(Pipeline, OnlyOneSequenceCanBeStreamed) {
  Collected collected;
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"streaming", "one returned sequence"},
                    [&] { pipeline_.generate(kStory, sampling(4, 2), collected.callback()); }));
}

TEST(PipelineParts, WithoutTokenizerOnlyIdsWork) {
  test::PartOfNib directory({"config.json", "generation_config.json", "model.safetensors"});
  LLMPipeline pipeline(directory.path());
  GenerationConfig config = pipeline.generation_config();
  config.max_new_tokens = 4;
  EXPECT_FALSE(pipeline.has_tokenizer());
  GenerationResult result = pipeline.generate(kStory, config);
  EXPECT_THAT(result.ids[0], SizeIs(4));
  EXPECT_EQ(result.texts[0], "");

  auto needs_tokenizer = [&](const std::function<void()>& action) {
    return fails(ErrorKind::not_found, {"neither tokenizer.json, tokenizer.model nor openvino_tokenizer.xml", "token ids"}, action);
  };
  EXPECT_TRUE(needs_tokenizer([&] { pipeline.generate("Hello!", config); }));
  EXPECT_TRUE(needs_tokenizer([&] { pipeline.tokenizer(); }));
  EXPECT_TRUE(needs_tokenizer([&] { pipeline.generate(kStory, config, [](std::string_view) { return StreamingStatus::running; }); }));
  config.stop_strings = {"fox"};
  EXPECT_TRUE(needs_tokenizer([&] { pipeline.generate(kStory, config); }));
}

TEST(PipelineParts, WithoutTemplateConversationsAreRejectedAndTextIsGoneOnWith) {
  test::PartOfNib directory({"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"});
  LLMPipeline pipeline(directory.path());
  GenerationConfig config = pipeline.generation_config();
  config.max_new_tokens = 2;
  EXPECT_FALSE(pipeline.has_chat_template());
  EXPECT_EQ(pipeline.generate("Once there was", config).prompt_ids, pipeline.tokenizer().encode("Once there was").ids);
  ChatHistory history;
  history.add("user", "Hello!");
  EXPECT_TRUE(fails(ErrorKind::not_found, {"no chat template"}, [&] { pipeline.generate(history, config); }));
}

TEST(PipelineParts, ConversationsWithToolsTakeTheTemplateForThem) {
  test::PartOfNib directory({"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"});
  std::filesystem::create_directory(directory.path() / "additional_chat_templates");
  test::write_text(directory.path() / "additional_chat_templates/tool_use.jinja", "tools: {{ tools | length }}");
  LLMPipeline pipeline(directory.path());
  ChatHistory history;
  history.add("user", "Hello!");
  EXPECT_THAT(pipeline.apply_chat_template(history), HasSubstr("Hello!"));
  history.set_tools(R"([{"name": "f"}])");
  EXPECT_EQ(pipeline.apply_chat_template(history), "tools: 1");
  EXPECT_EQ(pipeline.chat_template(history).source(), "tools: {{ tools | length }}");
}

TEST(PipelineParts, EndTokensMayComeFromConfigJson) {
  test::PartOfNib directory({"config.json", "model.safetensors"});
  LLMPipeline pipeline(directory.path());
  EXPECT_THAT(pipeline.generation_config().eos_token_ids, ElementsAre(4));
}

TEST(PipelineParts, BrokenFilesAreNamed) {
  test::PartOfNib directory({"config.json", "model.safetensors"});
  test::write_text(directory.path() / "generation_config.json", "{\"eos_token_id\": ");
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"generation_config.json"}, [&] { LLMPipeline(directory.path()); }));
}

TEST(PipelineParts, TheXmlFileOfTheWorkingDirectoryWillDo) {
  test::ScratchDirectory scratch;
  Context context({.threads = 2, .log = {}});
  export_model(test::nib(), scratch / "model", {}, context);
  auto before = std::filesystem::current_path();
  std::filesystem::current_path(scratch / "model");
  LLMPipeline pipeline("openvino_model.xml");
  std::filesystem::current_path(before);
  EXPECT_TRUE(pipeline.has_tokenizer());
  EXPECT_TRUE(pipeline.has_chat_template());
}

TEST(PipelineParts, MissingModelsAreNamed) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"no-such-model"}, [] { LLMPipeline("no-such-model"); }));
}

TEST(PipelineParts, PipelinesMayShareAContext) {
  auto context = test::two_threads();
  LLMPipeline first(test::nib(), {}, {}, context), second(test::nib(), {}, {}, context);
  EXPECT_EQ(first.generate("Who are you?").texts, second.generate("Who are you?").texts);
}

}  // namespace nibble
