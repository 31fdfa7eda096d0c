#include <fmt/format.h>

#include <filesystem>

#include "cli/command.hpp"
#include "nibble/chat.hpp"
#include "nibble/error.hpp"

namespace nibble::cli {

namespace {

struct Options {
  std::string source;
  std::optional<std::string> messages;
  bool no_generation_prompt = false, as_json = false, jsonl = false;
};

ChatHistory read_messages(const Options& o) {
  try {
    return ChatHistory::from_json(o.messages ? *o.messages : read_stdin());
  } catch (const Error& error) {
    throw UsageError(fmt::format("--messages takes a JSON array of messages: {}", error.what()));
  }
}

void run(const Options& o) {
  ChatTemplate chat_template = open_chat_template(o.source);
  if (o.jsonl) {
    auto answer = [&](const json& line) { print(dump_line({{"text", chat_template.render(line.dump())}}) + "\n"); };
    return for_each_json_line(answer, [](const std::string& error) { print(dump_line({{"error", error}}) + "\n"); });
  }
  ChatHistory history = read_messages(o);
  std::string text = chat_template.render(history, dump_line({{"add_generation_prompt", !o.no_generation_prompt}}));
  if (o.as_json) return print_json({{"text", text}});
  print(text + "\n");
}

}  // namespace

ChatTemplate open_chat_template(const std::string& source) {
  if (std::filesystem::is_directory(source) || std::filesystem::path(source).extension() == ".gguf") {
    auto found = load_chat_template(source);
    if (!found) throw Error(ErrorKind::not_found, fmt::format("{}: there is no chat template here", source));
    return *found;
  }
  return ChatTemplate(read_text_file(source, "the template"), source);
}

void add_template(CLI::App& app) {
  auto* command = app.add_subcommand("template", "Render a chat template");
  auto o = std::make_shared<Options>();
  command->add_option("source", o->source, "model directory, GGUF or .jinja file")->required();
  command->add_option("--messages", o->messages, "messages as JSON (default: standard input)");
  command->add_flag("--no-generation-prompt", o->no_generation_prompt, "do not open the assistant's turn");
  command->add_flag("--json", o->as_json, "print the result as JSON");
  command->add_flag("--jsonl", o->jsonl, "read a whole context from each line of standard input");
  command->footer(
      "\nExamples:\n  nibble template ./model --messages '[{\"role\": \"user\", \"content\": \"Hi\"}]'\n  nibble template chat.jinja "
      "--jsonl < contexts.jsonl");
  command->callback([o] { run(*o); });
}

}  // namespace nibble::cli
