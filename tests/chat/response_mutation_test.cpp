#include <gtest/gtest.h>

#include <random>

#include "chat/response_cases.hpp"

namespace nibble {
namespace {

using nlohmann::json;
using test::ResponseCase;
using Random = std::mt19937;

size_t below(Random& random, size_t limit) { return limit == 0 ? 0 : random() % limit; }

const std::string& one_of(const std::vector<std::string>& list, Random& random) { return list[below(random, list.size())]; }

std::string mutated(std::string text, Random& random, const std::vector<ResponseCase>& cases) {
  for (size_t changes = 1 + below(random, 5); changes > 0; --changes) {
    const size_t at = below(random, text.size() + 1);
    const std::string& other = cases[below(random, cases.size())].text;
    switch (below(random, 6)) {
      case 0: text.insert(at, other.substr(below(random, other.size() + 1), below(random, 30))); break;
      case 1: text.erase(at, 1 + below(random, 12)); break;
      case 2: text.insert(at, text.substr(below(random, text.size() + 1), below(random, 40))); break;
      case 3: text.replace(at, std::min<size_t>(1, text.size() - at), 1, static_cast<char>(random())); break;
      case 4: text.insert(at, 1, "{}[]()<>\"'\\,:=;|`\n0-eTn"[below(random, 24)]); break;
      default: text.resize(at); break;
    }
  }
  return text;
}

ParsedResponse in_pieces(const std::string& text, const ResponseParserOptions& options, Random& random) {
  ResponseParser parser(options);
  ParsedResponse response;
  for (size_t at = 0; at < text.size();) {
    const size_t size = 1 + below(random, 7);
    for (const ResponseDelta& delta : parser.feed(std::string_view(text).substr(at, size))) response.add(delta);
    at += size;
  }
  for (const ResponseDelta& delta : parser.finish()) response.add(delta);
  return response;
}

/// Whatever the text: the message is the same however the text was cut, and whole calls have JSON for arguments.
void expect_sound(const std::string& text, const ResponseParserOptions& options, Random& random, size_t& calls) {
  const ParsedResponse whole = parse_response(text, options);
  EXPECT_EQ(whole.to_json(), in_pieces(text, options, random).to_json()) << text;
  EXPECT_TRUE(json::accept(whole.to_json())) << text;
  for (const ToolCall& call : whole.tool_calls) {
    EXPECT_FALSE(call.name.empty()) << text;
    if (!call.complete) continue;
    EXPECT_TRUE(json::accept(call.arguments)) << text << "\n" << call.arguments;
    ++calls;
  }
}

TEST(ResponseMutations, OfTheirOwnFormat) {
  const std::vector<ResponseCase> cases = test::response_cases();
  Random random(20261121);
  size_t calls = 0;
  for (int i = 0; i < 20'000; ++i) {
    const ResponseCase& one = cases[below(random, cases.size())];
    expect_sound(mutated(one.text, random, cases), one.options, random, calls);
  }
  EXPECT_GT(calls, 2000u);
}

TEST(ResponseMutations, OfOtherFormats) {
  const std::vector<ResponseCase> cases = test::response_cases();
  const std::vector<std::string> tools = tool_parser_names(), reasoning = reasoning_parser_names();
  Random random(20261122);
  size_t calls = 0;
  for (int i = 0; i < 20'000; ++i) {
    ResponseParserOptions options = cases[below(random, cases.size())].options;
    options.format = {one_of(tools, random), one_of(reasoning, random)};
    expect_sound(mutated(cases[below(random, cases.size())].text, random, cases), options, random, calls);
  }
  EXPECT_GT(calls, 100u);
}

std::string repeated(const std::string& text, size_t bytes) {
  std::string result;
  while (result.size() < bytes) result += text;
  return result;
}

TEST(ResponseMutations, LongRepetitionsEnd) {
  const std::vector<std::string> parts = {
      "<",  "[",   "{",       "(",        "\"",          "\\",          "<tool_call>", "<tool_call>{\"name\": ",
      " ",  "a",   "{\"a\":", "f(",       "[f(a=",       "<function=",  "<think>",     "[TOOL_CALLS]",
      "1,", "```", "\xF0",    "<｜tool▁", "<|channel|>", "<|message|>", "```json\n{"};
  for (const std::string& name : tool_parser_names()) {
    ResponseParserOptions options{.format = {name, name == "harmony" ? "harmony" : "think"}};
    for (const std::string& part : parts)
      EXPECT_TRUE(json::accept(parse_response(repeated(part, 10'000), options).to_json())) << name << part;
  }
}

TEST(ResponseMutations, WhatIsHeldBackIsBounded) {
  constexpr size_t kText = size_t{5} << 19, kHeld = (size_t{1} << 20) + 100;
  const std::pair<const char*, std::string> texts[] = {{"hermes", "<tool_call>{\"other\": \"" + repeated("x", kText)},
                                                       {"hermes", "<tool_call>" + repeated("[", kText)},
                                                       {"hermes", repeated(" ", kText)},
                                                       {"mistral", "[TOOL_CALLS]" + repeated("x", kText)},
                                                       {"qwen3_coder", "<function=" + repeated("x", kText)}};
  for (const auto& [name, text] : texts) {
    ResponseParser parser({.format = {name, "none"}});
    ParsedResponse response;
    for (const ResponseDelta& delta : parser.feed(text)) response.add(delta);
    EXPECT_GE(response.content.size() + kHeld, text.size()) << name;
    for (const ResponseDelta& delta : parser.finish()) response.add(delta);
    EXPECT_EQ(response.content, text) << name;
  }
}

}  // namespace
}  // namespace nibble
