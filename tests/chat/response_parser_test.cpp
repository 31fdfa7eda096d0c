#include <gtest/gtest.h>

#include <random>

#include "chat/response_cases.hpp"
#include "expect_error.hpp"
#include "nibble/chat.hpp"

namespace nibble {
namespace {

using nlohmann::json;
using test::ResponseCase;
using Kind = ResponseDelta::Kind;

/// A message in the form of the cases: arguments as what they are, those of broken calls as text.
json in_form_of_cases(const ParsedResponse& response, const json& expected) {
  json calls = json::array();
  for (const ToolCall& call : response.tool_calls) {
    json one = {{"name", call.name}};
    if (call.complete)
      one["arguments"] = json::parse(call.arguments);
    else
      one["partial"] = call.arguments;
    const json& expected_calls = expected["tool_calls"];
    if (calls.size() < expected_calls.size() && expected_calls[calls.size()].contains("id")) one["id"] = call.id;
    calls.push_back(one);
  }
  return {{"content", response.content}, {"reasoning_content", response.reasoning_content}, {"tool_calls", calls}};
}

std::vector<ResponseDelta> deltas_of_pieces(const std::string& text, const ResponseParserOptions& options, std::mt19937& random) {
  ResponseParser parser(options);
  std::vector<ResponseDelta> deltas;
  for (size_t at = 0; at < text.size();) {
    const size_t size = 1 + random() % 9;
    for (ResponseDelta& delta : parser.feed(std::string_view(text).substr(at, size))) deltas.push_back(std::move(delta));
    at += size;
  }
  for (ResponseDelta& delta : parser.finish()) deltas.push_back(std::move(delta));
  return deltas;
}

bool same(const ParsedResponse& a, const ParsedResponse& b) {
  const auto same_call = [](const ToolCall& x, const ToolCall& y) {
    return x.id == y.id && x.name == y.name && x.arguments == y.arguments && x.complete == y.complete;
  };
  return a.content == b.content && a.reasoning_content == b.reasoning_content &&
         std::equal(a.tool_calls.begin(), a.tool_calls.end(), b.tool_calls.begin(), b.tool_calls.end(), same_call);
}

TEST(Responses, AreTakenApart) {
  size_t count = 0;
  for (const ResponseCase& one : test::response_cases()) {
    const json message = in_form_of_cases(parse_response(one.text, one.options), one.expected);
    EXPECT_EQ(message.dump(2), one.expected.dump(2)) << one.name;
    ++count;
  }
  EXPECT_GT(count, 100u);
}

TEST(Responses, AreTheSameInPieces) {
  std::mt19937 random(20261121);
  for (const ResponseCase& one : test::response_cases()) {
    const ParsedResponse whole = parse_response(one.text, one.options);
    for (int i = 0; i < 20; ++i) {
      ParsedResponse joined;
      for (const ResponseDelta& delta : deltas_of_pieces(one.text, one.options, random)) joined.add(delta);
      EXPECT_TRUE(same(whole, joined)) << one.name;
    }
  }
}

TEST(Responses, DeltasAreWholeCharacters) {
  std::mt19937 random(5);
  for (const ResponseCase& one : test::response_cases())
    for (const ResponseDelta& delta : deltas_of_pieces(one.text, one.options, random)) EXPECT_NO_THROW(json(delta.text).dump()) << one.name;
}

TEST(Responses, CallsBeginGoOnAndEndInOrder) {
  std::mt19937 random(6);
  for (const ResponseCase& one : test::response_cases()) {
    size_t calls = 0;
    bool open = false, finished = false;
    for (const ResponseDelta& delta : deltas_of_pieces(one.text, one.options, random)) {
      EXPECT_FALSE(finished) << one.name;
      const bool of_call = delta.kind == Kind::call_arguments || delta.kind == Kind::call_end;
      EXPECT_EQ(of_call, open && delta.kind != Kind::call_begin) << one.name;
      if (delta.kind == Kind::call_begin) ++calls;
      if (of_call || delta.kind == Kind::call_begin) {
        EXPECT_EQ(delta.index + 1, calls) << one.name;
      }
      open = delta.kind == Kind::call_begin || delta.kind == Kind::call_arguments;
      finished = delta.kind == Kind::finish;
    }
    EXPECT_TRUE(finished) << one.name;
  }
}

TEST(Responses, ArgumentsStreamBeforeTheCallIsWhole) {
  const std::pair<const char*, const char*> calls[] = {
      {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"code\": \"print(1"},
      {"pythonic", "[f(code=\"print(1"},
      {"qwen3_coder", "<tool_call>\n<function=f>\n<parameter=code>\nprint(1"},
      {"mistral", "[TOOL_CALLS]f[ARGS]{\"code\": \"print(1"},
      {"gemma4", "<|tool_call>call:f{code:<|\"|>print(1"},
      {"harmony", "<|channel|>commentary to=functions.f<|message|>{\"code\": \"print(1"},
  };
  for (auto [format, text] : calls) {
    ResponseParserOptions options;
    options.format.tool_parser = format;
    ParsedResponse response;
    ResponseParser parser(options);
    for (const ResponseDelta& delta : parser.feed(text)) response.add(delta);
    ASSERT_EQ(response.tool_calls.size(), 1u) << format;
    EXPECT_EQ(response.tool_calls[0].arguments, "{\"code\": \"print(1") << format;
  }
}

TEST(Responses, FinishTellsWhetherThereAreCalls) {
  ResponseParserOptions options;
  options.format.tool_parser = "hermes";
  ResponseParser calls(options), text(options);
  calls.feed("<tool_call>{\"name\": \"f\"}</tool_call>");
  text.feed("f");
  EXPECT_EQ(calls.finish().back().text, "tool_calls");
  EXPECT_EQ(text.finish().back().text, "stop");
}

TEST(Responses, BrokenUtf8BecomesReplacementCharacters) {
  ResponseParser parser({});
  std::string text;
  for (const char* piece : {"a\xE2\x82", "\xAC", "b\xFF", "c\xF0\x9F", "\xF0\x9F\xA6\x8A", "\xED\xA0\x80", "d\xC3"})
    for (const ResponseDelta& delta : parser.feed(piece)) text += delta.text;
  EXPECT_EQ(text, "a€b\uFFFDc\uFFFD🦊\uFFFD\uFFFD\uFFFDd");
  EXPECT_EQ(parser.finish()[0].text, "\uFFFD");
}

TEST(Responses, IdsAreNineLettersAndDigitsAndDifferent) {
  ResponseParserOptions options;
  options.format.tool_parser = "hermes";
  const char* text = "<tool_call>{\"name\": \"f\"}\n{\"name\": \"f\"}</tool_call>";
  const ParsedResponse first = parse_response(text, options), second = parse_response(text, options);
  EXPECT_EQ(first.tool_calls.at(0).id.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
            std::string::npos);
  EXPECT_EQ(first.tool_calls.at(0).id.size(), 9u);
  EXPECT_NE(first.tool_calls.at(0).id, first.tool_calls.at(1).id);
  EXPECT_NE(first.tool_calls.at(0).id, second.tool_calls.at(0).id);
  options.id_seed = 1;
  EXPECT_EQ(parse_response(text, options).tool_calls.at(0).id, parse_response(text, options).tool_calls.at(0).id);
}

TEST(Responses, MessagesGoBackIntoAHistory) {
  ResponseParserOptions options;
  options.format = {"hermes", "think"};
  options.id_seed = 1;
  const ParsedResponse response = parse_response(
      "<think>Hm.</think>Ok.<tool_call>{\"id\": \"c\", \"name\": \"f\", \"arguments\": {\"z\": 1, \"a\": 2}}</tool_call>", options);
  EXPECT_EQ(response.to_json(),
            R"({"role": "assistant", "content": "Ok.", "reasoning_content": "Hm.", "tool_calls": [{"id": "c", "type": "function", )"
            R"("function": {"name": "f", "arguments": {"z": 1, "a": 2}}}]})");
  ChatHistory history;
  history.add_json(response.to_json());
  EXPECT_EQ(history[0], response.to_json());
}

TEST(Responses, BrokenArgumentsStandInTheMessageAsText) {
  ResponseParserOptions options{.format = {"hermes", "none"}, .id_seed = 1};
  const ParsedResponse response = parse_response("<tool_call>{\"name\": \"f\", \"arguments\": {\"z", options);
  EXPECT_EQ(json::parse(response.to_json())["tool_calls"][0]["function"]["arguments"], "{\"z");
}

TEST(Responses, UnknownNamesAreRefusedWithAList) {
  ResponseParserOptions options;
  options.format.tool_parser = "hermless";
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"there is no tool parser 'hermless': take one of harmony"},
                          [&] { ResponseParser parser(options); }));
  options.format = {"none", "thonk"};
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"no reasoning parser 'thonk'"}, [&] { ResponseParser parser(options); }));
  options.format = {};
  options.tools = "{}";
  EXPECT_TRUE(test::fails(ErrorKind::invalid_argument, {"JSON array"}, [&] { ResponseParser parser(options); }));
}

TEST(Responses, TemplatesTellTheFormat) {
  struct Sample {
    const char *text, *tools, *reasoning;
  };
  const Sample samples[] = {
      {"{{ messages }}", "none", "none"},
      {"{{ '<tool_call>\\n{\"name\": ' }}{% set content = content.split('</think>')[-1] %}", "hermes", "think"},
      {"<tool_call>\n<function=a>\n<parameter=b>{{ '</think>' }}", "qwen3_coder", "think"},
      {"<tool_call>{{ name }}\n<arg_key>", "glm45", "none"},
      {"{{ '[TOOL_CALLS]' }}[THINK]", "mistral", "mistral"},
      {"<|start_header_id|>{{ '\"parameters\": ' }}", "llama3_json", "none"},
      {"<|start_header_id|>{{ '\"parameters\": ' }}<|python_start|>", "llama4", "none"},
      {"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>", "deepseek", "none"},
      {"<|start|>assistant<|channel|>final<|message|>", "harmony", "harmony"},
      {"<|tool|>{{ tools }}<|/tool|>", "phi4_mini", "none"},
      {"<|tool_call|>[{{ call }}]<think></think> and <response></response>{{ '</think>' }}", "granite", "granite33"},
      {"<minimax:tool_call>{{ '<response>' }}</response></think>", "minimax_m2", "think"},
      {"<|START_ACTION|><|START_THINKING|>", "cohere", "cohere"},
      {"<|tool_call>call:{{ name }}<tool_call|><|channel>thought", "gemma4", "gemma4"},
      {"<|tool_calls_section_begin|><|tool_call_begin|>{{ id }}<|tool_call_argument_begin|>", "kimi_k2", "none"},
  };
  for (const Sample& sample : samples) {
    const ResponseFormat format = detect_response_format(sample.text);
    EXPECT_EQ(format.tool_parser, sample.tools) << sample.text;
    EXPECT_EQ(format.reasoning_parser, sample.reasoning) << sample.text;
  }
}

TEST(Responses, TheDocumentsNameEveryFormat) {
  const std::string text = read_file(std::string(NIBBLE_SOURCE_DIR) + "/docs/chat-templates.md");
  for (const auto& names : {tool_parser_names(), reasoning_parser_names()})
    for (const std::string& name : names) EXPECT_NE(text.find("`" + name + "`"), std::string::npos) << name;
}

TEST(Responses, OtherServersNamesAreKnown) {
  for (const char* name :
       {"hermes3", "qwen3coder", "gptoss", "llama3", "devstral", "lfm2", "Qwen3-Coder", "granite-20b-fc", "openai", "xlam"})
    EXPECT_NO_THROW(parse_response("x", {.format = {name, "none"}})) << name;
  for (const char* name : {"qwen3", "gptoss", "deepseek_r1", "mistral", "glm45", "hunyuan_a13b"})
    EXPECT_NO_THROW(parse_response("x", {.format = {"none", name}})) << name;
}

TEST(Responses, EveryNameIsAFormat) {
  for (const std::string& name : tool_parser_names()) EXPECT_NO_THROW(parse_response("x", {.format = {name, "none"}}));
  for (const std::string& name : reasoning_parser_names()) EXPECT_NO_THROW(parse_response("x", {.format = {"none", name}}));
  EXPECT_EQ(tool_parser_names().back(), "none");
  EXPECT_EQ(reasoning_parser_names().back(), "none");
}

}  // namespace
}  // namespace nibble
