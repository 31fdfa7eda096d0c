#include "nibble/chat.hpp"

#include <random>

#include "chat/response/json_text.hpp"
#include "chat/response/response_reader.hpp"
#include "chat/response/utf8_filter.hpp"

namespace nibble {

namespace {

uint64_t random_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

/// {"id", "type", "function": {"name", "arguments"}}. Arguments are JSON already, and may be large.
void append_call(const ToolCall& call, std::string& json) {
  json += R"({"id": )";
  append_json_text(call.id, json);
  json += R"(, "type": "function", "function": {"name": )";
  append_json_text(call.name, json);
  json += R"(, "arguments": )";
  if (call.complete && call.arguments.starts_with('{'))
    json += call.arguments;
  else
    append_json_text(call.arguments, json);
  json += "}}";
}

}  // namespace

struct ResponseParser::Impl {
  const ToolFormat* tools;
  const ReasoningFormat* reasoning;
  ToolSchemas schemas;
  std::vector<std::string> ignored_tokens;
  DeltaWriter writer;
  std::unique_ptr<ResponseReader> reader;
  Utf8Filter utf8;

  explicit Impl(const ResponseParserOptions& options)
      : tools(&find_tool_format(options.format.tool_parser)),
        reasoning(&find_reasoning_format(options.format.reasoning_parser)),
        ignored_tokens(options.ignored_tokens),
        writer(options.id_seed ? *options.id_seed : random_seed()) {
    if (options.tools) {
      schemas = ToolSchemas::from_json(*options.tools);
      if (schemas.empty()) tools = &find_tool_format("none");
    }
    std::erase(ignored_tokens, "");
    reader = tools->harmony || reasoning->harmony ? make_harmony_reader(tools->harmony, ignored_tokens, writer)
                                                  : make_message_reader(*tools, *reasoning, schemas, ignored_tokens, writer);
    if (options.prompt)
      reader->continue_prompt(*options.prompt);
    else if (reasoning->opened_by_prompt)
      reader->continue_prompt(reasoning->opens.front());
  }

  std::vector<ResponseDelta> push(const std::string& text) {
    for (char c : text) reader->push(c);
    return writer.take();
  }
};

ResponseParser::ResponseParser(const ResponseParserOptions& options) : impl_(std::make_unique<Impl>(options)) {}
ResponseParser::~ResponseParser() = default;
ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;
ResponseParser& ResponseParser::operator=(ResponseParser&&) noexcept = default;

std::vector<ResponseDelta> ResponseParser::feed(std::string_view piece) {
  std::string text;
  for (char c : piece) impl_->utf8.push(c, text);
  return impl_->push(text);
}

std::vector<ResponseDelta> ResponseParser::finish() {
  std::string text;
  impl_->utf8.finish(text);
  for (char c : text) impl_->reader->push(c);
  impl_->reader->finish();
  return impl_->writer.take();
}

void ParsedResponse::add(const ResponseDelta& delta) {
  switch (delta.kind) {
    case ResponseDelta::Kind::content: content += delta.text; break;
    case ResponseDelta::Kind::reasoning: reasoning_content += delta.text; break;
    case ResponseDelta::Kind::call_begin: tool_calls.push_back({delta.id, delta.name, {}, false}); break;
    case ResponseDelta::Kind::call_arguments: tool_calls.at(delta.index).arguments += delta.text; break;
    case ResponseDelta::Kind::call_end: tool_calls.at(delta.index).complete = delta.complete; break;
    case ResponseDelta::Kind::finish: break;
  }
}

std::string ParsedResponse::to_json() const {
  std::string json = R"({"role": "assistant", "content": )";
  append_json_text(content, json);
  if (!reasoning_content.empty()) append_json_text(reasoning_content, json += R"(, "reasoning_content": )");
  for (size_t i = 0; i < tool_calls.size(); ++i) {
    json += i == 0 ? R"(, "tool_calls": [)" : ", ";
    append_call(tool_calls[i], json);
  }
  return json + (tool_calls.empty() ? "}" : "]}");
}

ParsedResponse parse_response(std::string_view text, const ResponseParserOptions& options) {
  ResponseParser parser(options);
  ParsedResponse response;
  for (const ResponseDelta& delta : parser.feed(text)) response.add(delta);
  for (const ResponseDelta& delta : parser.finish()) response.add(delta);
  return response;
}

}  // namespace nibble
