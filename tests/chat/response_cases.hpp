#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "nibble/chat.hpp"

namespace nibble::test {

/// A text of tests/data/chat/responses.jsonl with the message that it is.
struct ResponseCase {
  std::string name, text;
  ResponseParserOptions options;
  nlohmann::json expected;
};

inline std::vector<ResponseCase> response_cases() {
  std::istringstream lines(read_file(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/chat/responses.jsonl"));
  std::vector<ResponseCase> result;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    ResponseCase one{json["name"], json["text"], {}, json["expected"]};
    one.options.format = {json["tool_parser"], json["reasoning_parser"]};
    if (json.contains("tools")) one.options.tools = json["tools"].dump();
    if (json.contains("prompt")) one.options.prompt = json["prompt"];
    if (json.contains("ignored_tokens")) one.options.ignored_tokens = json["ignored_tokens"];
    one.options.id_seed = 7;
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace nibble::test
