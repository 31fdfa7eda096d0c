#include "nibble/chat.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.hpp"
#include "nibble/error.hpp"

namespace nibble::cli {

namespace {

struct Options {
  std::optional<std::string> source, tool_parser, reasoning_parser, tools, prompt;
  bool as_json = false, jsonl = false;
};

ResponseParserOptions parser_options(const Options& o) {
  if (!o.source && !o.tool_parser && !o.reasoning_parser) throw UsageError("give a chat template, or --tool-parser and --reasoning-parser");
  ResponseParserOptions options;
  if (o.source) options.format = detect_response_format(open_chat_template(*o.source).source());
  if (o.tool_parser) options.format.tool_parser = *o.tool_parser;
  if (o.reasoning_parser) options.format.reasoning_parser = *o.reasoning_parser;
  if (o.tools) options.tools = read_text_file(*o.tools, "the tools");
  options.prompt = o.prompt;
  return options;
}

/// The message, and by which parsers; calls that broke off have their arguments as text.
json answer(const std::string& text, const ResponseParserOptions& options) {
  const ParsedResponse response = parse_response(text, options);
  return {{"message", json::parse(response.to_json())},
          {"tool_parser", options.format.tool_parser},
          {"reasoning_parser", options.format.reasoning_parser}};
}

json answer_line(const json& line, ResponseParserOptions options) {
  if (line.contains("tools")) options.tools = line["tools"].dump();
  if (line.contains("prompt")) options.prompt = line["prompt"].get<std::string>();
  return answer(line.at("text").get<std::string>(), options);
}

void run(const Options& o) {
  const ResponseParserOptions options = parser_options(o);
  if (!o.jsonl) return print_json(answer(read_stdin(), options));
  for_each_json_line([&](const json& line) { print(dump_line(answer_line(line, options)) + "\n"); },
                     [](const std::string& error) {
                       print(dump_line({{"error", error}}) + "\n");
                     });
}

}  // namespace

void add_parse_response(CLI::App& app) {
  auto* command = app.add_subcommand("parse-response", "Take generated text apart: content, reasoning and tool calls");
  auto o = std::make_shared<Options>();
  command->add_option("source", o->source, "model directory, GGUF or .jinja file whose chat template tells the formats");
  command->add_option("--tool-parser", o->tool_parser, fmt::format("format of tool calls: {}", fmt::join(tool_parser_names(), ", ")));
  command->add_option("--reasoning-parser", o->reasoning_parser,
                      fmt::format("format of reasoning: {}", fmt::join(reasoning_parser_names(), ", ")));
  command->add_option("--tools", o->tools, "JSON file with the tools that the template was given");
  command->add_option("--prompt", o->prompt, "end of the prompt: it may have opened the reasoning");
  command->add_flag("--json", o->as_json, "print the result as JSON (it always is)");
  command->add_flag("--jsonl", o->jsonl, "read {\"text\", \"prompt\", \"tools\"} from each line of standard input");
  command->footer(
      "\nExamples:\n  nibble parse-response ./model < answer.txt\n  nibble parse-response --tool-parser hermes --reasoning-parser think "
      "--prompt '<think>' < answer.txt");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
