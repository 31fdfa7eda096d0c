#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "chat/jinja/json.hpp"
#include "chat/jinja/template.hpp"
#include "chat/reference_time.hpp"

namespace nibble::jinja {
namespace {

using nlohmann::json;

/// The text after `key` of a line: nlohmann would turn integers beyond 64 bits into floats.
std::string context_text(const std::string& line, const std::string& shared) {
  const size_t start = line.find("\"context\": ") + 11;
  if (line.compare(start, 3, "\"X\"") == 0) return shared;
  size_t end = line.rfind(", \"expected\": ");
  if (end == std::string::npos) end = line.rfind(", \"error\": ");
  return line.substr(start, end - start);
}

struct Outcome {
  std::string text, fault;
};

Outcome render(const std::string& source, const std::string& context) {
  try {
    const Template compiled(source);
    Run run(Limits{}, reference_time());
    return {compiled.render(run, read_json(run, context)).text, ""};
  } catch (const Failure& failure) {
    return {failure.what(), std::string(to_string(failure.fault()))};
  }
}

/// Every expression against Jinja2 3.1.6 in the environment of transformers 4.57.6.
TEST(Expressions, EqualTheReference) {
  std::ifstream file(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/chat/templates/expressions.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(file, line));
  const std::string shared = line.substr(6, line.rfind(", \"now\"") - 6);
  size_t cases = 0;
  for (; std::getline(file, line); ++cases) {
    const json expected = json::parse(line);
    const Outcome outcome = render(expected["template"], context_text(line, shared));
    SCOPED_TRACE(expected["template"].get<std::string>());
    if (expected.contains("error")) {
      EXPECT_EQ(outcome.fault, expected["error"]["kind"]) << outcome.text;
    } else {
      EXPECT_EQ(outcome.text, expected["expected"]) << outcome.fault;
    }
    if (outcome.fault == "TemplateError") {
      EXPECT_EQ(outcome.text, expected["error"]["message"]);
    }
  }
  EXPECT_EQ(cases, 449u);
}

}  // namespace
}  // namespace nibble::jinja
